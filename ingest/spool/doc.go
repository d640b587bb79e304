// Package spool keeps accepted frames on disk from the moment before their MQTT acknowledgement until a block holds them.
//
// Each lane has a [Log]: segment files that are only appended to, one sync for many frames, deleted from the front. What
// [Log.Append] returned for survives kill -9 and power cuts (as far as fdatasync does). A full disk is an error value, not an
// accident: what was written of the group is cut off again, nothing before it is touched, and the next Append tries anew.
// That, and one copy of every byte instead of an LSM tree's two or more, is why this is not Pebble, which ends the process
// when its write-ahead log cannot be written.
//
// The batch in flight is kept beside it in one of two slots that are allocated beforehand and overwritten in turn, so that a
// full disk can still be drained.
//
// Memory is bounded: a log keeps unread frames in memory up to a limit and reads the rest back from disk.
// It imports of ours provenance.
package spool
