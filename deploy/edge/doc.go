// Package edge is the signing edge: it listens to sensors that cannot sign (plain SenML, Sparkplug B) on a broker of theirs, and signs
// what they say with keys that it holds, in frames like any other device's. Their devices are enrolled with attestation "edge", so
// that everybody sees who vouches.
//
// It promises:
//   - A message is acknowledged to the plain broker when what it says is on the edge's disk, or in its quarantine. What is on the disk
//     is signed, published and kept until Trailmark's broker has acknowledged it; kill -9 loses nothing of it.
//   - A reading is signed once. Taking readings from the outbox, storing their frame and advancing the device's position is one
//     transaction on disk; numbers are reserved ahead in the kit, so that even a lost outbox does not use a number twice.
//   - Frames of a device are published in order. A reading keeps the time it was acquired, however late it comes.
//   - Everything is bounded. When the outbox is full the edge takes no more, which the plain broker feels.
//   - What cannot be used is set aside with the reason.
//
// Of ours it imports chaincode/provenance, chaincode/evidence, deploy/broker, deploy/devices, and its own decimal, senml and sparkplug.
package edge
