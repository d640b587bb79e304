// Package kernel is the arithmetic behind every number that goes on the ledger.
//
// A score must come out the same bits for the node that raised the alert and for the auditor who doubts it, whatever their
// processor or build flags. The Go specification lets a compiler fuse x*y+z into one rounding (it does on arm64 and with
// GOAMD64=v3), math.Exp and its like choose FMA at run time, and BLAS libraries add in whatever order their tiles dictate.
// So this package promises, for finite arguments:
//
//   - every product is rounded by an explicit conversion before it is added, which the specification forbids to fuse;
//   - every sum runs in one documented order: a dense layer starts at its bias and adds inputs 0, 1, 2 …;
//   - Exp, Log, Tanh, NormalCDF and NormalQuantile are fixed polynomials and rationals over those operations
//     (division and square root are exact by IEEE 754);
//   - the AVX2 assembly computes several outputs side by side, never one output in another order and never with FMA, so it
//     gives the bits of the portable code.
//
// A test builds one program for GOAMD64=v1, v3, without assembly and for arm64, and compares a hash of its results.
//
// Version names this arithmetic on the ledger: change it whenever any result may change by one bit.
//
// The package may import nothing of ours.
package kernel

// Version identifies the arithmetic; it is registered with a model, and a score can be recomputed only by the same version.
const Version = "trailmark-kernel/1"

// Micro is one in the fixed-point unit of everything that goes on the ledger: millionths.
const Micro = 1_000_000
