package autoencoder

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	_ "go4.org/unsafe/assume-no-moving-gc" // Gorgonia panics at start on this Go without it
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/trailmark/trailmark/analytics/kernel"
	"github.com/trailmark/trailmark/analytics/thermal"
)

// Config is everything a training run depends on; the same Config gives the same model on the same platform.
type Config struct {
	Seed            uint64
	Shipments       int // generated normal shipments to train on
	Epochs          int
	LearningRate    float64 // of the first epoch; it falls tenfold to the last
	CalibrationDays int     // held-back normal sensor-days the threshold is set on
	FalseAlarms     float64 // share of normal sensor-days that may hold an alarm
	TestShipments   int     // held-back shipments per fault for the report
}

// DefaultConfig made the model that comes with this build.
func DefaultConfig() Config {
	return Config{Seed: 1, Shipments: 220, Epochs: 16, LearningRate: 0.002, CalibrationDays: 1000, FalseAlarms: 0.01, TestShipments: 100}
}

func (c Config) validate() error {
	switch {
	case c.Seed >= 1<<15:
		return errors.New("the seed must be below 32768")
	case c.Shipments < 4 || c.Shipments > 10_000:
		return errors.New("shipments must be between 4 and 10000")
	case c.Epochs < 1 || c.Epochs > 1000:
		return errors.New("epochs must be between 1 and 1000")
	case !(c.LearningRate > 0 && c.LearningRate < 1):
		return errors.New("the learning rate must lie between 0 and 1")
	case !(c.FalseAlarms > 0 && c.FalseAlarms < 1):
		return errors.New("the false-alarm share must lie between 0 and 1")
	case c.CalibrationDays > 60_000 || float64(c.CalibrationDays+1)*c.FalseAlarms < 1:
		return fmt.Errorf("%d calibration days cannot promise a false-alarm share of %g", c.CalibrationDays, c.FalseAlarms)
	case c.TestShipments < 0 || c.TestShipments > 10_000:
		return errors.New("test shipments must be between 0 and 10000")
	}
	return nil
}

// Progress tells how far a training run is.
type Progress struct {
	Epoch, Epochs int
	Loss          float64 // mean squared error of the epoch
}

// Report says how the run went; rates are on shipments that neither training nor calibration saw.
type Report struct {
	DataHash    [32]byte // SHA-256 of the readings trained on
	Windows     int
	Losses      []float64
	Threshold   int64   // millionths
	FalseAlarms float64 // share of normal sensor-days with an alarm, measured
	Faults      []FaultReport
}

// FaultReport says how many of a fault were found within a day, and how soon.
type FaultReport struct {
	Fault         thermal.Fault
	Found         float64
	MedianMinutes int64 // of those found
}

const batch = 64

var widths = [...]int{Features, 64, 16, 64, Features}

// Train makes a model from generated normal shipments with Gorgonia, sets its threshold by conformal calibration (the k-th
// smallest of n held-back day maxima with k = ⌈(n+1)(1−share)⌉, which bounds the false-alarm share without any assumption on
// the errors' distribution) and measures it. progress may be nil.
func Train(ctx context.Context, config Config, progress func(Progress)) (*Model, Report, error) {
	if err := config.validate(); err != nil {
		return nil, Report{}, fmt.Errorf("training: %w", err)
	}
	rows, dataHash, err := trainingSet(ctx, config)
	if err != nil {
		return nil, Report{}, fmt.Errorf("training: %w", err)
	}
	report := Report{DataHash: dataHash, Windows: len(rows) / Features}
	network, losses, err := fit(ctx, rows, config, progress)
	if err != nil {
		return nil, Report{}, fmt.Errorf("training: %w", err)
	}
	report.Losses = losses
	m := &Model{network: network, falseAlarms: kernel.ToMicro(config.FalseAlarms), calibrationDays: uint32(config.CalibrationDays), seed: config.Seed, data: dataHash}
	if err := m.calibrate(ctx, config); err != nil {
		return nil, Report{}, fmt.Errorf("calibrating: %w", err)
	}
	report.Threshold = m.threshold
	if err := m.measure(ctx, config, &report); err != nil {
		return nil, Report{}, fmt.Errorf("measuring: %w", err)
	}
	if err := m.validate(); err != nil {
		return nil, Report{}, fmt.Errorf("training: %w", err)
	}
	return m, report, nil
}

// fit minimises the mean squared reconstruction error with Adam.
func fit(ctx context.Context, rows []float32, config Config, progress func(Progress)) (kernel.Network, []float64, error) {
	random := rand.New(rand.NewPCG(config.Seed, 0x7472_6169_6e00))
	network := start(random)
	count := len(rows) / Features
	batches := count / batch
	if batches == 0 {
		return nil, nil, fmt.Errorf("%d windows do not fill a batch of %d", count, batch)
	}
	g := gorgonia.NewGraph()
	x := gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithShape(batch, Features), gorgonia.WithName("x"))
	output, learnables := forward(g, x, network)
	loss := gorgonia.Must(gorgonia.Mean(gorgonia.Must(gorgonia.Square(gorgonia.Must(gorgonia.Sub(output, x))))))
	var lossValue gorgonia.Value
	gorgonia.Read(loss, &lossValue)
	if _, err := gorgonia.Grad(loss, learnables...); err != nil {
		return nil, nil, fmt.Errorf("differentiating: %w", err)
	}
	machine := gorgonia.NewTapeMachine(g, gorgonia.BindDualValues(learnables...))
	defer machine.Close() //nolint:errcheck // it only stops
	backing := make([]float32, batch*Features)
	input := tensor.New(tensor.WithShape(batch, Features), tensor.WithBacking(backing))
	order := make([]int, count)
	for i := range order {
		order[i] = i
	}
	var losses []float64
	for epoch := range config.Epochs {
		// A rate that falls to a tenth settles the last epochs.
		rate := config.LearningRate * math.Pow(0.1, float64(epoch)/float64(config.Epochs))
		solver := gorgonia.NewAdamSolver(gorgonia.WithLearnRate(rate))
		random.Shuffle(count, func(i, j int) { order[i], order[j] = order[j], order[i] })
		total := 0.0
		for b := range batches {
			if err := ctx.Err(); err != nil {
				return nil, nil, err
			}
			for r := range batch {
				copy(backing[r*Features:(r+1)*Features], rows[order[b*batch+r]*Features:])
			}
			if err := gorgonia.Let(x, input); err != nil {
				return nil, nil, fmt.Errorf("setting a batch: %w", err)
			}
			if err := machine.RunAll(); err != nil {
				return nil, nil, fmt.Errorf("running a batch: %w", err)
			}
			total += float64(lossValue.Data().(float32))
			if err := solver.Step(gorgonia.NodesToValueGrads(learnables)); err != nil {
				return nil, nil, fmt.Errorf("stepping: %w", err)
			}
			machine.Reset()
		}
		losses = append(losses, total/float64(batches))
		if progress != nil {
			progress(Progress{Epoch: epoch + 1, Epochs: config.Epochs, Loss: total / float64(batches)})
		}
	}
	for k := range network {
		network[k].Weights = slices.Clone(learnables[2*k].Value().Data().([]float32))
		network[k].Bias = slices.Clone(learnables[2*k+1].Value().Data().([]float32))
	}
	return network, losses, nil
}

// start draws Glorot-uniform weights.
func start(random *rand.Rand) kernel.Network {
	var network kernel.Network
	for k := range len(widths) - 1 {
		layer := kernel.Dense{In: widths[k], Out: widths[k+1], Tanh: k < len(widths)-2}
		reach := math.Sqrt(6 / float64(layer.In+layer.Out))
		layer.Weights, layer.Bias = make([]float32, layer.In*layer.Out), make([]float32, layer.Out)
		for i := range layer.Weights {
			layer.Weights[i] = float32(float64((2*random.Float64() - 1) * reach))
		}
		network = append(network, layer)
	}
	return network
}

// forward builds the network in a graph: the same layers the kernel runs.
func forward(g *gorgonia.ExprGraph, x *gorgonia.Node, network kernel.Network) (*gorgonia.Node, gorgonia.Nodes) {
	var learnables gorgonia.Nodes
	h := x
	for k, layer := range network {
		w := gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithShape(layer.In, layer.Out), gorgonia.WithName(fmt.Sprintf("w%d", k)),
			gorgonia.WithValue(tensor.New(tensor.WithShape(layer.In, layer.Out), tensor.WithBacking(slices.Clone(layer.Weights)))))
		b := gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithShape(1, layer.Out), gorgonia.WithName(fmt.Sprintf("b%d", k)),
			gorgonia.WithValue(tensor.New(tensor.WithShape(1, layer.Out), tensor.WithBacking(slices.Clone(layer.Bias)))))
		learnables = append(learnables, w, b)
		h = gorgonia.Must(gorgonia.BroadcastAdd(gorgonia.Must(gorgonia.Mul(h, w)), b, nil, []byte{0}))
		if layer.Tanh {
			h = gorgonia.Must(gorgonia.Tanh(h))
		}
	}
	return h, learnables
}

func (m *Model) calibrate(ctx context.Context, config Config) error {
	scratch := &kernel.Scratch{}
	worst := make([]int64, config.CalibrationDays)
	for k := range worst {
		if err := ctx.Err(); err != nil {
			return err
		}
		var err error
		if worst[k], err = worstOfDay(m, calibrationSeeds+config.Seed<<16+uint64(k), scratch); err != nil {
			return err
		}
	}
	slices.Sort(worst)
	rank := int(math.Ceil(float64(len(worst)+1) * (1 - config.FalseAlarms)))
	m.threshold = max(1, worst[min(rank, len(worst))-1])
	return nil
}

func (m *Model) measure(ctx context.Context, config Config, report *Report) error {
	if config.TestShipments == 0 {
		return nil
	}
	scratch := &kernel.Scratch{}
	alarms := 0
	base := testSeeds + config.Seed<<16
	for k := range config.TestShipments {
		if err := ctx.Err(); err != nil {
			return err
		}
		worst, err := worstOfDay(m, base+uint64(k), scratch)
		if err != nil {
			return err
		}
		if worst > m.threshold {
			alarms++
		}
	}
	report.FalseAlarms = float64(alarms) / float64(config.TestShipments)
	for _, fault := range thermal.Faults() {
		var delays []int64
		for k := range config.TestShipments {
			if err := ctx.Err(); err != nil {
				return err
			}
			minutes, found, err := delayOf(m, base+uint64(k), fault, scratch)
			if err != nil {
				return err
			}
			if found {
				delays = append(delays, minutes)
			}
		}
		entry := FaultReport{Fault: fault, Found: float64(len(delays)) / float64(config.TestShipments)}
		if len(delays) > 0 {
			slices.Sort(delays)
			entry.MedianMinutes = delays[len(delays)/2]
		}
		report.Faults = append(report.Faults, entry)
	}
	return nil
}
