// Package ingest takes signed frames from MQTT to the ledger.
//
// The road of a message: MQTT (QoS 1, one persistent session a lane) → decode and verify, in parallel → spool, durably, or
// quarantine → MQTT acknowledgement → batch of its lane → one transaction, one in flight a lane → learnt from its block →
// released from the spool.
//
// What it promises:
//   - A message is acknowledged only when it is on disk: in the spool, or in the quarantine with the reason it was refused. It
//     leaves the spool only when a block holds its batch, the quarantine holds it, or the broker has it back for the lane's
//     new owner.
//   - The bytes of a batch are on disk before they are first submitted, so a retry, also after a crash, submits the same, and
//     the ledger takes (organisation, lane, number) once.
//   - A lane has one owner. A takeover claims it on the ledger first (the fence rises, so nothing the old owner still sends
//     can count), then connects under the lane's client identifier, upon which the broker throws the old owner out and hands
//     over what it had not acknowledged. An owner that is thrown out asks the ledger before it connects again.
//   - Memory and disk are bounded. What does not fit stays with the broker, unacknowledged; readiness says why.
//
// It imports provenance and evidence; the ledger and the device registry are interfaces that deploy/cmd wires.
package ingest
