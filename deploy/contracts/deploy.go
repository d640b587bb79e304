// Package contracts puts Trailmark's contracts on a network. Of ours it imports deploy/fabric.
package contracts

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"

	"github.com/trailmark/trailmark/deploy/fabric"
)

// Name of the chaincode on the channel.
const Name = "trailmark"

// Version of the chaincode's definition: raise it when what the contracts write changes, so that organisations approve it anew.
const Version = "1"

// Deploy puts the contracts on the channel, served by program ("trailmark chaincode"). It is idempotent; a program that was built
// anew takes the place of the one that runs.
func Deploy(ctx context.Context, network *fabric.Network, program string) error {
	build, err := digest(program)
	if err != nil {
		return fmt.Errorf("reading the program that serves the contracts: %w", err)
	}
	return network.DeployChaincode(ctx, fabric.Chaincode{
		Name: Name, Version: Version, Argv: []string{program, "chaincode"}, Env: []string{"TRAILMARK_BUILD=" + build},
	})
}

func digest(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	h := sha256.New()
	if _, err := io.Copy(h, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}
