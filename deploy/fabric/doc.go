// Package fabric runs a real Hyperledger Fabric network as plain processes on
// this machine: raft orderers, a peer or more per organisation, TLS everywhere,
// chaincode as a service. No container engine is involved.
//
// [Build] compiles Fabric's own programs once (the nested module in tools pins
// them). [Up] creates a network or brings an existing one back, whatever state it
// was left in; [Network.DeployChaincode] puts a chaincode on it; [LoadProfile]
// tells clients where everything is without touching any process; [Down] stops,
// [Reset] forgets.
//
// Promises: every step looks at what is there before it acts, so any of them can
// be interrupted and run again; everything a network is lives in one folder
// (see README.md); ports are chosen once, from free ones, and kept; a process
// that dies is started again within about a second.
//
// Of ours it imports deploy/supervise only.
package fabric
