// Package autoencoder is Trailmark's learned watch over one sensor's behaviour: a small autoencoder that has seen only normal
// refrigerated transport and so reconstructs badly what is not (a stuck or drifting sensor, a failed compressor, a door left
// open), long before a limit is crossed.
//
// Gorgonia trains it (Train); what counts on the ledger is run by analytics/kernel, held to Gorgonia's own forward pass by a
// test, so that a score is the same bits everywhere. A model is one canonical sequence of bytes (Encode, Decode), whose
// SHA-256 is its identity on the ledger.
//
// The package may import analytics/kernel and analytics/thermal.
package autoencoder
