package bench

import (
	"math"
	"os"
	"runtime"
	"strings"
	"time"
)

// Result is everything that was measured; --json prints it as one line.
type Result struct {
	Machine struct {
		CPU      string `json:"cpu"`
		Cores    int    `json:"cores"`
		Go       string `json:"go"`
		Platform string `json:"platform"`
	} `json:"machine"`
	Road struct {
		Organisations   int    `json:"organisations"`
		Endorsements    int    `json:"endorsements"`
		Orderers        int    `json:"orderers"`
		ProjectingNodes int    `json:"projectingNodes"`
		Devices         int    `json:"devices"`
		Lanes           uint32 `json:"lanes"`
		SteadySeconds   int    `json:"steadySeconds"`
		Short           bool   `json:"short"`
	} `json:"road"`
	Naive         *Load    `json:"naive"`
	Single        *Load    `json:"single"`
	SingleQuarter *Load    `json:"singleQuarter"`
	Packed        *Load    `json:"packed"`
	PackedQuarter *Load    `json:"packedQuarter"`
	Limit         *Limit   `json:"limit"`
	History       *History `json:"history"`
	Chart         *Chart   `json:"chart"`
	Counts        []Counts `json:"counts"`
	Skipped       []string `json:"skipped"`

	Ratios  Ratios   `json:"ratios"`
	Targets []Target `json:"targets"`
	Seconds float64  `json:"seconds"`
}

// Load is a steady state.
type Load struct {
	ReadingsPerSecond     float64            `json:"readingsPerSecond"`
	FramesPerSecond       float64            `json:"framesPerSecond"`
	ReadingsPerFrame      int                `json:"readingsPerFrame"`
	Seconds               float64            `json:"seconds"`
	InFlight              int                `json:"inFlight"`         // most frames (naive: transactions) under way; 0 where it was paced
	PacedAt               float64            `json:"pacedAtPerSecond"` // frames; 0 where it ran as fast as it could
	Tried                 []Trial            `json:"tried,omitempty"`
	PublishToCommit       Latency            `json:"publishToCommitMs"` // until the gateway's peer says that the block is committed
	PublishToProjected    Latency            `json:"publishToProjectedMs"`
	CPUPerFrame           map[string]float64 `json:"cpuMicrosPerFrame"` // by process
	CPUTotal              float64            `json:"cpuMicrosPerFrameTotal"`
	CPUBusy               float64            `json:"coresBusy"`
	BlockBytesPerReading  float64            `json:"blockBytesPerReading"`
	FramesPerBatch        float64            `json:"framesPerBatch"`
	ArgumentBytesPerFrame float64            `json:"argumentBytesPerFrame"`
	Memory                map[string]int64   `json:"peakResidentBytes"` // by process
}

// Trial is a number in flight that was tried, and the rate it gave.
type Trial struct {
	InFlight int     `json:"inFlight"`
	Rate     float64 `json:"perSecond"`
}

// Counts compares what was published with what became of it.
type Counts struct {
	Traffic           string `json:"traffic"`
	Published         int64  `json:"published"`
	Acknowledged      int64  `json:"acknowledged"`
	Committed         int64  `json:"committed"`
	Projected         int64  `json:"projected"`
	ProjectedReadings int64  `json:"projectedReadings"`
	Lost              int    `json:"lost"`
	Duplicated        int    `json:"duplicated"`
	Altered           int    `json:"altered"`
	Refused           int    `json:"refused"`
	Invalid           int    `json:"invalidTransactions"` // repeated by ingest; no frame of theirs counts
}

// History is packed throughput with much on the ledger.
type History struct {
	Readings int64   `json:"readings"`
	Seconds  float64 `json:"seconds"` // it took to get there
	Packed   *Load   `json:"packed"`
	OverNew  float64 `json:"overEmpty"` // throughput over that on an empty ledger
}

// Ratios are what the targets are about; null where a part was left out.
type Ratios struct {
	PackedOverNaive *float64 `json:"packedOverNaive"`
	SingleOverNaive *float64 `json:"singleOverNaive"`
	PackedOverLimit *float64 `json:"packedOverLimit"`
	SingleOverLimit *float64 `json:"singleOverLimit"`
}

// Target is what should be reached and what was. A target whose figure was not measured is neither met nor missed.
type Target struct {
	Name   string   `json:"name"`
	Want   float64  `json:"want"`
	Most   bool     `json:"most"` // Want is an upper bound
	Unit   string   `json:"unit"`
	Got    *float64 `json:"got"`
	Missed bool     `json:"missed"`
}

func newResult(c Config) *Result {
	r := &Result{Counts: []Counts{}, Skipped: []string{}}
	r.Machine.CPU, r.Machine.Cores, r.Machine.Go, r.Machine.Platform = processor(), cores(), runtime.Version(), runtime.GOOS+"/"+runtime.GOARCH
	r.Road.Organisations, r.Road.Endorsements, r.Road.Orderers, r.Road.ProjectingNodes = 3, 2, 1, 1
	r.Road.Devices, r.Road.Lanes, r.Road.SteadySeconds, r.Road.Short = c.Devices, c.Lanes, c.Seconds, c.Short
	return r
}

func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// finish works out ratios and targets from what there is.
func (r *Result) finish(took time.Duration) {
	r.Seconds = took.Seconds()
	over := func(l, m *Load) *float64 {
		if l == nil || m == nil || m.ReadingsPerSecond == 0 {
			return nil
		}
		return rounded(l.ReadingsPerSecond / m.ReadingsPerSecond)
	}
	r.Ratios.PackedOverNaive, r.Ratios.SingleOverNaive = over(r.Packed, r.Naive), over(r.Single, r.Naive)
	if r.Limit != nil {
		r.Ratios.PackedOverLimit = over(r.Packed, &Load{ReadingsPerSecond: r.Limit.Packed.ReadingsPerSecond})
		r.Ratios.SingleOverLimit = over(r.Single, &Load{ReadingsPerSecond: r.Limit.Single.ReadingsPerSecond})
	}
	var bytes, p50, p99, history, chart *float64
	if r.Packed != nil {
		bytes = rounded(r.Packed.BlockBytesPerReading)
	}
	if q := r.PackedQuarter; q != nil && q.PublishToCommit.Count > 0 {
		p50, p99 = &q.PublishToCommit.P50, &q.PublishToCommit.P99
	}
	var singleP50, singleP99 *float64
	if q := r.SingleQuarter; q != nil && q.PublishToCommit.Count > 0 {
		singleP50, singleP99 = &q.PublishToCommit.P50, &q.PublishToCommit.P99
	}
	if r.History != nil && r.History.Packed != nil && r.Packed != nil {
		history = rounded(r.History.OverNew)
	}
	if r.Chart != nil {
		chart = &r.Chart.Latency.P99
	}
	r.Targets = []Target{
		target("packed, readings/s over naive", 300, false, "×", r.Ratios.PackedOverNaive),
		target("single, readings/s over naive", 10, false, "×", r.Ratios.SingleOverNaive),
		target("packed over the limit", 0.5, false, "", r.Ratios.PackedOverLimit),
		target("single over the limit", 0.5, false, "", r.Ratios.SingleOverLimit),
		target("packed, block bytes per reading", 10, true, "B", bytes),
		target("packed, publish to commit p50 at a quarter of the load", 450, true, "ms", p50),
		target("packed, publish to commit p99 at a quarter of the load", 1200, true, "ms", p99),
		target("single, publish to commit p50 at a quarter of the load", 450, true, "ms", singleP50),
		target("single, publish to commit p99 at a quarter of the load", 1200, true, "ms", singleP99),
		target("packed throughput with history over an empty ledger", 0.85, false, "", history),
		target("chart of 30 days from the API, p99", 50, true, "ms", chart),
	}
}

func target(name string, want float64, most bool, unit string, got *float64) Target {
	return Target{Name: name, Want: want, Most: most, Unit: unit, Got: got, Missed: got != nil && (most && *got > want || !most && *got < want)}
}

// rounded keeps four digits, so that a ratio does not pretend to more.
func rounded(x float64) *float64 {
	if x == 0 || math.IsNaN(x) || math.IsInf(x, 0) {
		return &x
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(x))))
	x = math.Round(x*scale) / scale
	return &x
}

// account spreads what was spent over the frames of a span.
func (l *Load) account(spent map[string]float64, frames int, span time.Duration) {
	l.CPUPerFrame, l.CPUBusy = perOne(spent, frames), total(spent, nil)/span.Seconds()
	l.CPUTotal = total(l.CPUPerFrame, nil)
}

// perOne gives microseconds of CPU for one of n, by process.
func perOne(spent map[string]float64, n int) map[string]float64 {
	each := make(map[string]float64, len(spent))
	for name, seconds := range spent {
		each[name] = math.Round(seconds/float64(max(n, 1))*1e8) / 100
	}
	return each
}
