// Package readmodel is what a node knows of the ledger in a form that answers questions: a database that holds only
// what blocks said, so that it can be thrown away and projected again from block 0.
//
// It promises: what a Batch of writes holds becomes visible all at once or not at all; lists have a stable order and
// resume by token; a reading belongs to the shipment whose attachment holds its acquisition time, decided when it is
// asked for, so late attachments and late readings come right; the log's tree answers for every size it ever had.
//
// Readings are kept as segments of a device's day (see segment.go), not as rows. The SQL is portable; what is
// SQLite's own stands in sqlite.go. It may import chaincode/provenance and chaincode/evidence.
package readmodel
