// Package supervise keeps a group of long-running child processes alive.
//
// A group is a folder. What should run is a file per process (a [Spec]); what
// does run is a file per process too (a [Status]). One supervisor at a time
// holds the folder's lock and makes the second follow the first: it starts what
// is new, restarts what died (with backoff), replaces what changed, and stops
// what was withdrawn. Everybody else, in this process or another, only writes
// specs and reads statuses, so a command can add a process to a group that an
// earlier command started.
//
// The supervisor runs either inside the calling program ([Group.Attach]) or as a
// process of its own that outlives the caller ([Group.Detach]). It is the same
// loop ([Group.Run]) in both, and children never outlive it: on Linux the kernel
// kills them when the supervisor's thread is gone.
//
// Promises: a child killed from outside is started again after 100 ms, doubling
// up to 10 s while it keeps dying; stopping goes from the highest stage to the
// lowest, SIGTERM first, SIGKILL after the grace; a process id is only signalled
// while the process with that id is the one that was started; a child's output
// goes to a log file of bounded size.
//
// It imports nothing of Trailmark.
package supervise
