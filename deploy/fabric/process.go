package fabric

import (
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/trailmark/trailmark/deploy/supervise"
)

// Stages of a network's processes: what others need starts first, stops last.
const (
	stageOrderer = iota
	stagePeer
	stageChaincode
)

const (
	stopGrace = 8 * time.Second
	// logFormat is Fabric's own without the colours, which are no use in a file.
	logFormat = "%{time:2006-01-02T15:04:05.000Z07:00} %{level} [%{module}] %{shortfunc} -> %{message}"
)

// ordererSpec runs an orderer. All of its settings but these are Fabric's own
// sample's.
func ordererSpec(dir, cache string, s state, n node, logSpec string) supervise.Spec {
	home := filepath.Join(dir, "crypto", "ordererOrganizations", ordererDomain, "orderers", n.host)
	tls := filepath.Join(home, "tls")
	data := filepath.Join(dir, "ledger", n.name)
	return supervise.Spec{
		Name: n.name, Stage: stageOrderer, Grace: stopGrace, Dir: dir,
		Argv: []string{filepath.Join(cache, "bin", "orderer")},
		Env: environment(map[string]string{
			"FABRIC_CFG_PATH":                           filepath.Join(cache, "config"),
			"FABRIC_LOGGING_SPEC":                       logSpec,
			"FABRIC_LOGGING_FORMAT":                     logFormat,
			"ORDERER_GENERAL_LISTENADDRESS":             loopback,
			"ORDERER_GENERAL_LISTENPORT":                strconv.Itoa(s.port(n.name, portMain)),
			"ORDERER_GENERAL_LOCALMSPID":                ordererMSP,
			"ORDERER_GENERAL_LOCALMSPDIR":               filepath.Join(home, "msp"),
			"ORDERER_GENERAL_BOOTSTRAPMETHOD":           "none",
			"ORDERER_GENERAL_TLS_ENABLED":               "true",
			"ORDERER_GENERAL_TLS_PRIVATEKEY":            filepath.Join(tls, "server.key"),
			"ORDERER_GENERAL_TLS_CERTIFICATE":           filepath.Join(tls, "server.crt"),
			"ORDERER_GENERAL_TLS_ROOTCAS":               "[" + filepath.Join(tls, "ca.crt") + "]",
			"ORDERER_GENERAL_CLUSTER_CLIENTCERTIFICATE": filepath.Join(tls, "server.crt"),
			"ORDERER_GENERAL_CLUSTER_CLIENTPRIVATEKEY":  filepath.Join(tls, "server.key"),
			"ORDERER_GENERAL_CLUSTER_ROOTCAS":           "[" + filepath.Join(tls, "ca.crt") + "]",
			// With the default of 7s, clients stall that long after a leader died.
			"ORDERER_GENERAL_CLUSTER_RPCTIMEOUT":   "1s",
			"ORDERER_GENERAL_CLUSTER_DIALTIMEOUT":  "1s",
			"ORDERER_GENERAL_BACKOFF_BASEDELAY":    "100ms",
			"ORDERER_GENERAL_BACKOFF_MAXDELAY":     "2s",
			"ORDERER_CHANNELPARTICIPATION_ENABLED": "true",
			"ORDERER_ADMIN_LISTENADDRESS":          s.address(n.name, portAdmin),
			"ORDERER_ADMIN_TLS_ENABLED":            "true",
			"ORDERER_ADMIN_TLS_CERTIFICATE":        filepath.Join(tls, "server.crt"),
			"ORDERER_ADMIN_TLS_PRIVATEKEY":         filepath.Join(tls, "server.key"),
			"ORDERER_ADMIN_TLS_CLIENTAUTHREQUIRED": "true",
			"ORDERER_ADMIN_TLS_CLIENTROOTCAS":      "[" + filepath.Join(tls, "ca.crt") + "]",
			"ORDERER_OPERATIONS_LISTENADDRESS":     s.address(n.name, portOperations),
			"ORDERER_METRICS_PROVIDER":             "prometheus",
			"ORDERER_FILELEDGER_LOCATION":          data,
			"ORDERER_CONSENSUS_WALDIR":             filepath.Join(data, "raft", "wal"),
			"ORDERER_CONSENSUS_SNAPDIR":            filepath.Join(data, "raft", "snapshot"),
		}),
	}
}

// peerSpec runs a peer. Gossip beats fast, so that a network of a few peers
// agrees on who is there within seconds instead of half a minute.
func peerSpec(dir, cache string, s state, n node, logSpec string) supervise.Spec {
	home := filepath.Join(dir, "crypto", "peerOrganizations", n.org.Domain, "peers", n.host)
	tls := filepath.Join(home, "tls")
	data := filepath.Join(dir, "ledger", n.name)
	address := s.address(n.name, portMain)
	return supervise.Spec{
		Name: n.name, Stage: stagePeer, Grace: stopGrace, Dir: dir,
		Argv: []string{filepath.Join(cache, "bin", "peer"), "node", "start"},
		Env: environment(map[string]string{
			"FABRIC_CFG_PATH":                  filepath.Join(cache, "config"),
			"FABRIC_LOGGING_SPEC":              logSpec,
			"FABRIC_LOGGING_FORMAT":            logFormat,
			"CORE_PEER_ID":                     n.host,
			"CORE_PEER_NETWORKID":              s.Channel,
			"CORE_PEER_ADDRESS":                address,
			"CORE_PEER_LISTENADDRESS":          address,
			"CORE_PEER_CHAINCODELISTENADDRESS": s.address(n.name, portChaincode),
			"CORE_PEER_CHAINCODEADDRESS":       s.address(n.name, portChaincode),
			"CORE_PEER_LOCALMSPID":             n.org.MSPID,
			"CORE_PEER_MSPCONFIGPATH":          filepath.Join(home, "msp"),
			"CORE_PEER_FILESYSTEMPATH":         data,
			"CORE_LEDGER_SNAPSHOTS_ROOTDIR":    filepath.Join(data, "snapshots"),
			"CORE_PEER_TLS_ENABLED":            "true",
			"CORE_PEER_TLS_CERT_FILE":          filepath.Join(tls, "server.crt"),
			"CORE_PEER_TLS_KEY_FILE":           filepath.Join(tls, "server.key"),
			"CORE_PEER_TLS_ROOTCERT_FILE":      filepath.Join(tls, "ca.crt"),
			"CORE_OPERATIONS_LISTENADDRESS":    s.address(n.name, portOperations),
			"CORE_METRICS_PROVIDER":            "prometheus",

			"CORE_PEER_GOSSIP_BOOTSTRAP":                 address,
			"CORE_PEER_GOSSIP_EXTERNALENDPOINT":          address,
			"CORE_PEER_GOSSIP_ORGLEADER":                 "true",
			"CORE_PEER_GOSSIP_USELEADERELECTION":         "false",
			"CORE_PEER_GOSSIP_STATE_ENABLED":             "false",
			"CORE_PEER_GOSSIP_ALIVETIMEINTERVAL":         "500ms",
			"CORE_PEER_GOSSIP_ALIVEEXPIRATIONTIMEOUT":    "4s",
			"CORE_PEER_GOSSIP_RECONNECTINTERVAL":         "1s",
			"CORE_PEER_GOSSIP_MEMBERSHIPTRACKERINTERVAL": "1s",
			"CORE_PEER_GOSSIP_PUBLISHSTATEINFOINTERVAL":  "500ms",
			"CORE_PEER_GOSSIP_REQUESTSTATEINFOINTERVAL":  "500ms",
			"CORE_PEER_GOSSIP_PULLINTERVAL":              "1s",
			"CORE_PEER_GOSSIP_DIALTIMEOUT":               "1s",
			"CORE_PEER_GOSSIP_CONNTIMEOUT":               "1s",
			// Private data that nobody can give does not hold up a block for a minute;
			// what turns up later is filled in.
			"CORE_PEER_GOSSIP_PVTDATA_PULLRETRYTHRESHOLD":     "5s",
			"CORE_PEER_GOSSIP_PVTDATA_RECONCILESLEEPINTERVAL": "5s",

			// An orderer that comes back is used again at once.
			"CORE_PEER_DELIVERYCLIENT_RECONNECTBACKOFFTHRESHOLD": "1s",
			"CORE_PEER_DELIVERYCLIENT_CONNTIMEOUT":               "1s",

			// The limit counts callers that wait for a commit, too.
			"CORE_PEER_LIMITS_CONCURRENCY_GATEWAYSERVICE":  "20000",
			"CORE_PEER_LIMITS_CONCURRENCY_ENDORSERSERVICE": "20000",
			// Nothing of ours asks for the history of a key; blocks have it all.
			"CORE_LEDGER_HISTORY_ENABLEHISTORYDATABASE": "false",

			"CORE_CHAINCODE_EXTERNALBUILDERS": "[{name: ccaas, path: " + strconv.Quote(builderPath(dir)) + ", propagateEnvironment: []}]",
		}),
	}
}

// environment is a process's whole environment: what it needs from ours, and
// these. A stray CORE_ or ORDERER_ variable of the user's shell stays out.
func environment(settings map[string]string) []string {
	env := make([]string, 0, len(settings)+4)
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "TZ"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	for _, name := range sortedKeys(settings) {
		env = append(env, name+"="+settings[name])
	}
	return env
}

// The external builder for chaincode as a service: the package says where the
// chaincode listens, and there is nothing to build.
var builderScripts = map[string]string{
	"detect":  "#!/bin/sh\ngrep -q '\"type\":\"ccaas\"' \"$2/metadata.json\"\n",
	"build":   "#!/bin/sh\nset -e\ncp \"$1/connection.json\" \"$3/\"\nif [ -d \"$1/META-INF\" ]; then cp -R \"$1/META-INF\" \"$3/\"; fi\n",
	"release": "#!/bin/sh\nset -e\nmkdir -p \"$2/chaincode/server\"\ncp \"$1/connection.json\" \"$2/chaincode/server/\"\nif [ -d \"$1/META-INF\" ]; then cp -R \"$1/META-INF/.\" \"$2/\"; fi\n",
}

func builderPath(dir string) string { return filepath.Join(dir, "config", "ccaas") }

func makeBuilder(dir string) error {
	for name, script := range builderScripts {
		if err := writeFile(filepath.Join(builderPath(dir), "bin", name), []byte(script), 0o750); err != nil {
			return err
		}
	}
	return nil
}

// ProcessDir is the supervised group that a network's processes form.
func ProcessDir(dir string) string { return filepath.Join(dir, "processes") }
