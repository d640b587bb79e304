package fabric

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

const genesisProfile = "Trailmark"

type yamlMap = map[string]any

// configtx describes the channel's first block for Fabric's configtxgen. Paths
// in it are relative to the file's folder, config.
//
// Governance (changing the channel or a chaincode definition) is by the majority
// of all organisations; a transaction needs the given number of those that
// endorse.
func configtx(s state) ([]byte, error) {
	application := make([]yamlMap, 0, len(s.Organisations))
	for _, o := range s.Organisations {
		org := channelMember(o.MSPID, filepath.Join("..", "crypto", "peerOrganizations", o.Domain, "msp"), yamlMap{
			"Readers":     signature("OR('%[1]s.admin', '%[1]s.peer', '%[1]s.client')", o.MSPID),
			"Writers":     signature("OR('%[1]s.admin', '%[1]s.client')", o.MSPID),
			"Admins":      signature("OR('%s.admin')", o.MSPID),
			"Endorsement": signature("OR('%s.peer')", o.MSPID),
		})
		var anchors []yamlMap
		for _, peer := range s.peersOf(o) {
			anchors = append(anchors, yamlMap{"Host": loopback, "Port": s.port(peer.name, portMain)})
		}
		org["AnchorPeers"] = anchors
		application = append(application, org)
	}
	orderer := channelMember(ordererMSP, filepath.Join("..", "crypto", "ordererOrganizations", ordererDomain, "msp"), yamlMap{
		"Readers": signature("OR('%s.member')", ordererMSP),
		"Writers": signature("OR('%s.member')", ordererMSP),
		"Admins":  signature("OR('%s.admin')", ordererMSP),
	})
	var endpoints []string
	var consenters []yamlMap
	for _, n := range s.orderers() {
		endpoints = append(endpoints, s.address(n.name, portMain))
		cert := filepath.Join("..", "crypto", "ordererOrganizations", ordererDomain, "orderers", n.host, "tls", "server.crt")
		consenters = append(consenters, yamlMap{"Host": loopback, "Port": s.port(n.name, portMain), "ClientTLSCert": cert, "ServerTLSCert": cert})
	}
	orderer["OrdererEndpoints"] = endpoints

	profile := yamlMap{
		"Policies":     implicit(),
		"Capabilities": yamlMap{"V3_0": true},
		"Orderer": yamlMap{
			"OrdererType":  "etcdraft",
			"BatchTimeout": s.BatchTimeout,
			"BatchSize": yamlMap{
				"MaxMessageCount":   s.MaxMessageCount,
				"AbsoluteMaxBytes":  s.AbsoluteMaxBytes,
				"PreferredMaxBytes": s.PreferredMaxBytes,
			},
			// Short ticks: a new leader within about a second, and a warm start in 3 s.
			"EtcdRaft": yamlMap{"Consenters": consenters, "Options": yamlMap{
				"TickInterval": "100ms", "ElectionTick": 10, "HeartbeatTick": 1, "MaxInflightBlocks": 5, "SnapshotIntervalSize": "16 MB",
			}},
			"Policies":      with(implicit(), "BlockValidation", meta("ANY Writers")),
			"Capabilities":  yamlMap{"V2_0": true},
			"Organizations": []yamlMap{orderer},
		},
		"Application": yamlMap{
			"Policies": with(with(implicit(),
				"LifecycleEndorsement", meta("MAJORITY Endorsement")),
				"Endorsement", yamlMap{"Type": "Signature", "Rule": endorsementRule(s)}),
			"Capabilities":  yamlMap{"V2_5": true},
			"Organizations": application,
		},
	}
	return yaml.Marshal(yamlMap{"Profiles": yamlMap{genesisProfile: profile}})
}

func channelMember(mspID, mspDir string, policies yamlMap) yamlMap {
	return yamlMap{"Name": mspID, "ID": mspID, "MSPDir": mspDir, "Policies": policies}
}

func signature(rule, mspID string) yamlMap {
	return yamlMap{"Type": "Signature", "Rule": fmt.Sprintf(rule, mspID)}
}

func meta(rule string) yamlMap { return yamlMap{"Type": "ImplicitMeta", "Rule": rule} }

func implicit() yamlMap {
	return yamlMap{"Readers": meta("ANY Readers"), "Writers": meta("ANY Writers"), "Admins": meta("MAJORITY Admins")}
}

func with(policies yamlMap, name string, policy yamlMap) yamlMap {
	policies[name] = policy
	return policies
}

// endorsementRule is k of the endorsing organisations, in Fabric's notation.
func endorsementRule(s state) string {
	var b strings.Builder
	fmt.Fprintf(&b, "OutOf(%d", s.Endorsements)
	for _, o := range endorsers(s.Organisations) {
		fmt.Fprintf(&b, ", '%s.peer'", o.MSPID)
	}
	return b.String() + ")"
}

func genesisPath(dir string) string { return filepath.Join(dir, "config", "genesis.block") }

// makeGenesis writes the channel's first block once; every later start needs
// the very same one.
func makeGenesis(ctx context.Context, dir, cache string, s state) error {
	if _, err := os.Stat(genesisPath(dir)); err == nil {
		return nil
	}
	config, err := configtx(s)
	if err != nil {
		return fmt.Errorf("describing the channel: %w", err)
	}
	folder := filepath.Join(dir, "config")
	if err := writeFile(filepath.Join(folder, "configtx.yaml"), config, 0o640); err != nil {
		return fmt.Errorf("writing channel description: %w", err)
	}
	fresh := genesisPath(dir) + ".new"
	if err := runTool(ctx, cache, "configtxgen", "-configPath", folder, "-profile", genesisProfile, "-channelID", s.Channel, "-outputBlock", fresh); err != nil {
		return err
	}
	if err := os.Rename(fresh, genesisPath(dir)); err != nil {
		return fmt.Errorf("keeping first block: %w", err)
	}
	return nil
}
