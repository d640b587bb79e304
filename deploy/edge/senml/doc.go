// Package senml reads SenML packs (RFC 8428) in JSON and CBOR, in any valid form: base names, base times, base units, base values,
// relative times. What a device signs for Trailmark has one form, which chaincode/evidence reads; this package is for sensors
// that cannot sign. Numbers stay exact. It bounds what it reads and never panics. Of ours it imports deploy/edge/decimal.
package senml
