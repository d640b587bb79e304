// Package detect finds anomalies in streams of readings, each point scored as it arrives and never looked at again.
//
// Three detectors share one currency, surprise: minus log10 of the probability, estimated by extreme value theory from
// what the stream showed so far, of a value as far out. So a threshold is a rate of false alarms, in every stream.
//
//   - Detector learns a stream as it runs: nothing is fitted beforehand, it starts within minutes, forgets and so follows
//     drift. For every channel it asks how new the value is for its time of day and how new the shape of the last points
//     is at three scales, and adds up what is surprising; with several channels also how new their combination is.
//   - Monitor watches a process against a stretch known to be normal, by window means in units of their own wander;
//     it is for machines that run at an operating point.
//   - PCA is the classical T² and Q chart on the same stretch: the baseline the other two must beat.
//
// A score has the same bits on every machine: sums run in a fixed order, every product is rounded before it is added,
// and logarithms come from analytics/kernel. Nothing here panics on values from outside: NaN and infinities are missing
// values, times that run backwards or repeat are taken as they come. A detector is not safe for concurrent use.
//
// The package may import analytics/kernel and nothing else of ours.
package detect
