// Package spoilage turns a shipment's temperature readings into findings a QA officer can act on: the band was left too long,
// it is about to be left, the goods are predicted to spoil, a sensor or a truck behaves as it never did.
//
// A Scorer follows one shipment reading by reading and never looks ahead. What it finds is a pure function of (profile, model,
// configuration, readings of each device in order of time), computed by analytics/kernel: Recompute gives an auditor the same
// findings to the bit, on any machine, and a Scorer restored from a snapshot goes on as if nothing had happened. Devices do
// not influence each other's state, so it does not matter how their readings interleave on arrival.
//
// The rules and their constants are the same for every shipment; only the profile differs.
//
// The package may import analytics/kernel, analytics/kinetics and analytics/autoencoder.
package spoilage
