// Package faults breaks a running Trailmark on purpose and then looks for what was lost. It runs a load on a real network (three raft
// orderers, three organisations, a broker, two ingest instances that share the lanes of one organisation, a gateway node for each
// organisation), does harm to it at random moments drawn from a seed, and at the end compares every frame that a publisher got a
// PUBACK for with the ledger's blocks, with the log, and with every node's read model.
//
// Everything runs in namespaces of its own ([Enter]): a loopback, a routing table and mounts that end with the run. Each peer lives in
// a network namespace of its own inside, so cutting it off is taking down its link; an ingest's disk is a small tmpfs.
//
// Of ours it may import anything but deploy/demo and deploy/command.
package faults
