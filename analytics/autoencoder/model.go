package autoencoder

import (
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/trailmark/trailmark/analytics/kernel"
)

// Model is a trained autoencoder with the threshold of its stated false-alarm rate. It is immutable once made and safe for
// concurrent use, each goroutine with its own kernel.Scratch.
type Model struct {
	network kernel.Network
	// threshold is the reconstruction error (millionths) above which a window is anomalous; falseAlarms is the share of
	// normal sensor-days (millionths) that hold one, the promise of the conformal calibration over calibrationDays days.
	threshold, falseAlarms int64
	calibrationDays        uint32
	seed                   uint64
	data                   [32]byte // SHA-256 of the readings it was trained on
}

// The encoding of a model, everything big-endian:
//
//	"TMAE" | version u8 = 1 | kernel version: length u8, bytes | features u16 | threshold i64 | false alarms i64 |
//	calibration days u32 | seed u64 | SHA-256 of the training readings | layers u8 | per layer: in u16, out u16, activation u8 (0 linear, 1 tanh),
//	weights in·out × f32 (row of outputs per input), biases out × f32
//
// There is one encoding of a model; Decode refuses anything else, so a hash names a model and a model has one hash.
const (
	magic         = "TMAE"
	formatVersion = 1
	// MaxEncodedBytes bounds an encoded model.
	MaxEncodedBytes = 200 << 10
	maxLayers       = 16
)

// Encode returns the canonical bytes of the model.
func (m *Model) Encode() []byte {
	out := append([]byte(magic), formatVersion, byte(len(kernel.Version)))
	out = append(out, kernel.Version...)
	out = binary.BigEndian.AppendUint16(out, Features)
	out = binary.BigEndian.AppendUint64(out, uint64(m.threshold))
	out = binary.BigEndian.AppendUint64(out, uint64(m.falseAlarms))
	out = binary.BigEndian.AppendUint32(out, m.calibrationDays)
	out = binary.BigEndian.AppendUint64(out, m.seed)
	out = append(out, m.data[:]...)
	out = append(out, byte(len(m.network)))
	for _, layer := range m.network {
		out = binary.BigEndian.AppendUint16(out, uint16(layer.In))
		out = binary.BigEndian.AppendUint16(out, uint16(layer.Out))
		activation := byte(0)
		if layer.Tanh {
			activation = 1
		}
		out = append(out, activation)
		for _, values := range [][]float32{layer.Weights, layer.Bias} {
			for _, v := range values {
				out = binary.BigEndian.AppendUint32(out, math.Float32bits(v))
			}
		}
	}
	return out
}

// Hash is the SHA-256 of Encode: the identity of the model on the ledger.
func (m *Model) Hash() [32]byte { return sha256.Sum256(m.Encode()) }

// Threshold is the reconstruction error, in millionths, above which a window is anomalous.
func (m *Model) Threshold() int64 { return m.threshold }

// FalseAlarms is the stated share of normal sensor-days, in millionths, on which the threshold is crossed.
func (m *Model) FalseAlarms() int64 { return m.falseAlarms }

// Seed is the seed the model was trained from.
func (m *Model) Seed() uint64 { return m.seed }

// TrainingData is the SHA-256 of the readings the model was trained on, in order: a big-endian int64 of millionths each.
func (m *Model) TrainingData() [32]byte { return m.data }

// Network is the model's layers; the caller must not change them.
func (m *Model) Network() kernel.Network { return m.network }

// Decode reads a model and refuses anything that Encode would not have written: another kernel version, shapes that do not
// fit, values that are not finite, bytes left over.
func Decode(encoded []byte) (*Model, error) {
	if len(encoded) > MaxEncodedBytes {
		return nil, fmt.Errorf("decoding model: %d bytes, at most %d are allowed", len(encoded), MaxEncodedBytes)
	}
	r := &reader{rest: encoded}
	if string(r.take(len(magic))) != magic {
		return nil, errors.New("decoding model: not a Trailmark autoencoder")
	}
	if v := r.u8(); v != formatVersion {
		return nil, fmt.Errorf("decoding model: format version %d, this build reads %d", v, formatVersion)
	}
	if v := string(r.take(int(r.u8()))); v != kernel.Version {
		return nil, fmt.Errorf("decoding model: made for kernel %q, this build has %q", v, kernel.Version)
	}
	if f := r.u16(); f != Features {
		return nil, fmt.Errorf("decoding model: %d features, this build makes %d", f, Features)
	}
	m := &Model{threshold: int64(r.u64()), falseAlarms: int64(r.u64()), calibrationDays: r.u32(), seed: r.u64()}
	copy(m.data[:], r.take(len(m.data)))
	layers := int(r.u8())
	if layers > maxLayers {
		return nil, fmt.Errorf("decoding model: %d layers, at most %d are allowed", layers, maxLayers)
	}
	for range layers {
		layer := kernel.Dense{In: int(r.u16()), Out: int(r.u16())}
		activation := r.u8()
		if activation > 1 {
			return nil, fmt.Errorf("decoding model: activation %d is not known", activation)
		}
		layer.Tanh = activation == 1
		layer.Weights, layer.Bias = r.floats(layer.In*layer.Out), r.floats(layer.Out)
		m.network = append(m.network, layer)
	}
	if r.err != nil {
		return nil, fmt.Errorf("decoding model: %w", r.err)
	}
	if len(r.rest) != 0 {
		return nil, fmt.Errorf("decoding model: %d bytes after the last layer", len(r.rest))
	}
	if err := m.validate(); err != nil {
		return nil, fmt.Errorf("decoding model: %w", err)
	}
	return m, nil
}

func (m *Model) validate() error {
	switch {
	case m.threshold <= 0:
		return errors.New("the threshold must be above zero")
	case m.falseAlarms <= 0 || m.falseAlarms >= kernel.Micro:
		return errors.New("the false-alarm share must lie between 0 and 1")
	}
	if err := m.network.Validate(); err != nil {
		return err
	}
	if m.network.In() != Features || m.network.Out() != Features {
		return fmt.Errorf("the network maps %d values to %d, it must map %d to %d", m.network.In(), m.network.Out(), Features, Features)
	}
	return nil
}

// reader takes values off the front and remembers the first error.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) take(n int) []byte {
	if r.err != nil || len(r.rest) < n {
		if r.err == nil {
			r.err = errors.New("it ends early")
		}
		return make([]byte, min(n, 256)) // zeroes, so that callers need not look at err each time
	}
	out := r.rest[:n]
	r.rest = r.rest[n:]
	return out
}

func (r *reader) u8() byte    { return r.take(1)[0] }
func (r *reader) u16() uint16 { return binary.BigEndian.Uint16(r.take(2)) }
func (r *reader) u32() uint32 { return binary.BigEndian.Uint32(r.take(4)) }
func (r *reader) u64() uint64 { return binary.BigEndian.Uint64(r.take(8)) }

func (r *reader) floats(n int) []float32 {
	if r.err != nil || len(r.rest) < 4*n {
		r.take(len(r.rest) + 1)
		return nil
	}
	values := make([]float32, n)
	for i := range values {
		values[i] = math.Float32frombits(r.u32())
		if f := float64(values[i]); math.IsNaN(f) || math.IsInf(f, 0) || math.Abs(f) > 1e6 {
			r.err = fmt.Errorf("weight %v is not finite and moderate", f)
		}
	}
	return values
}

//go:embed default.model
var defaultModel []byte

// Default is the model that comes with this build, made by `trailmark train` with its default seed.
var Default = sync.OnceValues(func() (*Model, error) { return Decode(defaultModel) })

// Score returns the reconstruction error of one window's features in millionths, saturated at MaxScore.
func (m *Model) Score(features *[Features]float32, scratch *kernel.Scratch) int64 {
	out := m.network.Forward(features[:], 1, scratch)
	return min(MaxScore, kernel.ToMicro(float64(kernel.MeanSquare(out, features[:]))))
}

// MaxScore bounds a score: a mean squared error of 1000.
const MaxScore = 1000 * kernel.Micro
