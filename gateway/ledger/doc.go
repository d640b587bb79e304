// Package ledger is the node's way to Fabric: it submits and evaluates transactions through gateway peers, streams
// blocks, and decodes them.
//
// It promises: Submit returns when the transaction stands valid in a block, learnt from one block stream and not by asking;
// a peer that dies is passed over for the next one; an outcome that is not known is an error of its own kind; the block
// stream has every block once and in order. It may import chaincode/provenance and chaincode/evidence.
package ledger
