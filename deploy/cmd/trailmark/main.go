// Command trailmark is the one program of Trailmark: it runs the network, the nodes, the demonstration, and the verifier.
package main

import (
	"os"

	"github.com/trailmark/trailmark/deploy/command"
)

func main() { os.Exit(command.Run(os.Args[1:], os.Stdout, os.Stderr)) }
