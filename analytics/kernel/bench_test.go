package kernel

import (
	"testing"

	_ "go4.org/unsafe/assume-no-moving-gc"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

var benchWidths = []int{128, 64, 16, 64, 128}

const multiplyAdds = 2 * (128*64 + 64*16)

func report(b *testing.B, rows int) {
	windows := float64(b.N) * float64(rows) / b.Elapsed().Seconds()
	b.ReportMetric(windows, "windows/s")
	b.ReportMetric(windows*multiplyAdds/1e9, "Gmadd/s")
}

func BenchmarkKernel(b *testing.B) {
	for _, bench := range []struct {
		name string
		rows int
	}{{"batch1", 1}, {"batch64", 64}} {
		b.Run(bench.name, func(b *testing.B) {
			n, src, scratch := randomNetwork(1, benchWidths...), randomRows(2, bench.rows*128), &Scratch{}
			for b.Loop() {
				n.Forward(src, bench.rows, scratch)
			}
			report(b, bench.rows)
		})
	}
	b.Run("portable64", func(b *testing.B) {
		n, src := randomNetwork(1, benchWidths...), randomRows(2, 64*128)
		one, two := make([]float32, 64*128), make([]float32, 64*128)
		for b.Loop() {
			current, next := src, one
			for k := range n {
				n[k].forwardPortable(next, current, 64, 0)
				if n[k].Tanh {
					for i, v := range next[:64*n[k].Out] {
						next[i] = tanh32(v)
					}
				}
				current = next[:64*n[k].Out]
				if k%2 == 0 {
					next = two
				} else {
					next = one
				}
			}
		}
		report(b, 64)
	})
}

// BenchmarkGorgonia runs the same model on a reused TapeMachine.
func BenchmarkGorgonia(b *testing.B) {
	n := randomNetwork(1, benchWidths...)
	g := gorgonia.NewGraph()
	const rows = 64
	x := gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithShape(rows, 128), gorgonia.WithName("x"))
	h := x
	for _, layer := range n {
		w := gorgonia.NodeFromAny(g, tensor.New(tensor.WithShape(layer.In, layer.Out), tensor.WithBacking(layer.Weights)))
		bias := gorgonia.NodeFromAny(g, tensor.New(tensor.WithShape(1, layer.Out), tensor.WithBacking(layer.Bias)))
		h = gorgonia.Must(gorgonia.BroadcastAdd(gorgonia.Must(gorgonia.Mul(h, w)), bias, nil, []byte{0}))
		if layer.Tanh {
			h = gorgonia.Must(gorgonia.Tanh(h))
		}
	}
	machine := gorgonia.NewTapeMachine(g)
	defer machine.Close() //nolint:errcheck // nothing to release
	input := tensor.New(tensor.WithShape(rows, 128), tensor.WithBacking(randomRows(2, rows*128)))
	for b.Loop() {
		if err := gorgonia.Let(x, input); err != nil {
			b.Fatal(err)
		}
		if err := machine.RunAll(); err != nil {
			b.Fatal(err)
		}
		machine.Reset()
	}
	report(b, rows)
}

// BenchmarkGonumGemm multiplies the model's matrices and nothing else.
func BenchmarkGonumGemm(b *testing.B) {
	const rows = 64
	n, src := randomNetwork(1, benchWidths...), randomRows(2, rows*128)
	dst := make([]float32, rows*128)
	for b.Loop() {
		for _, layer := range n {
			blas32.Gemm(blas.NoTrans, blas.NoTrans, 1,
				blas32.General{Rows: rows, Cols: layer.In, Stride: layer.In, Data: src[:rows*layer.In]},
				blas32.General{Rows: layer.In, Cols: layer.Out, Stride: layer.Out, Data: layer.Weights},
				0, blas32.General{Rows: rows, Cols: layer.Out, Stride: layer.Out, Data: dst[:rows*layer.Out]})
		}
	}
	report(b, rows)
}
