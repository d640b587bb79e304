package bench

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Table prints the result for people.
func (r *Result) Table(to io.Writer) {
	w := tabwriter.NewWriter(to, 0, 4, 2, ' ', tabwriter.AlignRight)
	defer w.Flush()
	line := func(cells ...string) { fmt.Fprintln(w, strings.Join(cells, "\t")+"\t") }
	fmt.Fprintf(w, "\n%s, %d cores, everything on this machine: %d organisations, %d endorse, %d raft orderer, %d node projects; %d sensors in %d lanes; %d s steady state\n\n",
		r.Machine.CPU, r.Machine.Cores, r.Road.Organisations, r.Road.Endorsements, r.Road.Orderers, r.Road.ProjectingNodes, r.Road.Devices, r.Road.Lanes, r.Road.SteadySeconds)
	loads := r.loads()
	row := func(name string, cell func(*Load) string) {
		cells := []string{name}
		for _, l := range loads {
			cells = append(cells, cell(l.load))
		}
		line(cells...)
	}
	heads := []string{""}
	for _, l := range loads {
		heads = append(heads, l.name)
	}
	line(heads...)
	row("readings/s", func(l *Load) string { return grouped(l.ReadingsPerSecond) })
	row("frames/s", func(l *Load) string { return grouped(l.FramesPerSecond) })
	row("most under way", func(l *Load) string { return fmt.Sprint(l.InFlight) })
	row("publish to commit p50 ms", func(l *Load) string { return fmt.Sprintf("%.0f", l.PublishToCommit.P50) })
	row("publish to commit p99 ms", func(l *Load) string { return fmt.Sprintf("%.0f", l.PublishToCommit.P99) })
	row("publish to projected p50 ms", func(l *Load) string { return fmt.Sprintf("%.0f", l.PublishToProjected.P50) })
	row("publish to projected p99 ms", func(l *Load) string { return fmt.Sprintf("%.0f", l.PublishToProjected.P99) })
	row("block bytes per reading", func(l *Load) string { return fmt.Sprintf("%.1f", l.BlockBytesPerReading) })
	row("frames per batch", func(l *Load) string { return fmt.Sprintf("%.0f", l.FramesPerBatch) })
	row("cores busy", func(l *Load) string { return fmt.Sprintf("%.2f", l.CPUBusy) })
	row("CPU µs per frame", func(l *Load) string { return fmt.Sprintf("%.0f", l.CPUTotal) })
	for _, name := range processNames(loads, func(l *Load) []string { return sortedNames(l.CPUPerFrame) }) {
		row("  "+name, func(l *Load) string { return figure("%.1f", l.CPUPerFrame, name) })
	}
	line("peak resident MB")
	for _, name := range processNames(loads, func(l *Load) []string { return sortedNames(l.Memory) }) {
		row("  "+name, func(l *Load) string {
			if n, ok := l.Memory[name]; ok {
				return fmt.Sprint(n >> 20)
			}
			return ""
		})
	}
	line("")
	r.limitTable(line)
	if h := r.History; h != nil {
		line("history", grouped(float64(h.Readings)), "readings on the ledger")
		line("")
	}
	if c := r.Chart; c != nil {
		line("chart", fmt.Sprintf("%d days, %d sensors, %s readings: %d points, p50 %.1f ms, p99 %.1f ms", c.Days, c.Sensors, grouped(float64(c.Readings)), c.Points, c.Latency.P50, c.Latency.P99))
		line("")
	}
	line("target", "want", "got", "")
	for _, t := range r.Targets {
		sign, got, verdict := "≥", "–", "not measured"
		if t.Most {
			sign = "≤"
		}
		if t.Got != nil {
			got, verdict = fmt.Sprintf("%.4g %s", *t.Got, t.Unit), "met"
			if t.Missed {
				verdict = "MISSED"
			}
		}
		line(t.Name, fmt.Sprintf("%s %g %s", sign, t.Want, t.Unit), got, verdict)
	}
}

func (r *Result) limitTable(line func(cells ...string)) {
	l := r.Limit
	if l == nil {
		return
	}
	line(fmt.Sprintf("the limit of %d cores", l.Cores), "single", "packed")
	both := func(name, format string, of func(FrameCost) float64) {
		line(name, fmt.Sprintf(format, of(l.Single)), fmt.Sprintf(format, of(l.Packed)))
	}
	both("bytes of a frame, uncompressed", "%.0f", func(c FrameCost) float64 { return c.Bytes })
	both(fmt.Sprintf("%d verifications, µs", l.VerificationsPerFrame), "%.1f", func(c FrameCost) float64 { return c.VerificationMicros })
	both("MQTT hop, µs", "%.1f", func(c FrameCost) float64 { return c.HopMicros })
	both(fmt.Sprintf("ledger at %.1f µs/KiB, µs", l.LedgerMicrosPerKiB), "%.1f", func(c FrameCost) float64 { return c.LedgerMicros })
	both("frames/s at most", "%.0f", func(c FrameCost) float64 { return c.FramesPerSecond })
	both("readings/s at most", "%.0f", func(c FrameCost) float64 { return c.ReadingsPerSecond })
	line("")
}

type namedLoad struct {
	name string
	load *Load
}

func (r *Result) loads() (all []namedLoad) {
	list := []namedLoad{{"naive", r.Naive}, {"single", r.Single}, {"single ¼", r.SingleQuarter}, {"packed", r.Packed}, {"packed ¼", r.PackedQuarter}}
	if r.History != nil {
		list = append(list, namedLoad{"packed + history", r.History.Packed})
	}
	return slices.DeleteFunc(list, func(l namedLoad) bool { return l.load == nil })
}

func processNames(loads []namedLoad, of func(*Load) []string) []string {
	seen := map[string]bool{}
	for _, l := range loads {
		for _, name := range of(l.load) {
			seen[name] = true
		}
	}
	return sortedNames(seen)
}

func figure(format string, of map[string]float64, name string) string {
	if x, ok := of[name]; ok {
		return fmt.Sprintf(format, x)
	}
	return ""
}

// grouped writes a number with thin gaps between thousands.
func grouped(x float64) string {
	digits := fmt.Sprintf("%.0f", x)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + " " + digits[i:]
	}
	return digits
}
