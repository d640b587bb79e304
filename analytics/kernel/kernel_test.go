package kernel

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func randomNetwork(seed uint64, widths ...int) Network {
	source := rand.New(rand.NewPCG(seed, 7))
	var n Network
	for k := range len(widths) - 1 {
		layer := Dense{In: widths[k], Out: widths[k+1], Tanh: k < len(widths)-2}
		layer.Weights, layer.Bias = make([]float32, layer.In*layer.Out), make([]float32, layer.Out)
		for i := range layer.Weights {
			layer.Weights[i] = float32(source.NormFloat64() * 0.2)
		}
		for i := range layer.Bias {
			layer.Bias[i] = float32(source.NormFloat64() * 0.1)
		}
		n = append(n, layer)
	}
	return n
}

func randomRows(seed uint64, count int) []float32 {
	source := rand.New(rand.NewPCG(seed, 8))
	rows := make([]float32, count)
	for i := range rows {
		rows[i] = float32(source.NormFloat64() * 2)
	}
	return rows
}

func TestTilesGiveThePortableBits(t *testing.T) {
	for _, widths := range [][]int{{128, 64, 16, 64, 128}, {60, 20, 5, 20, 60}, {7, 16, 33, 3}, {1, 1}} {
		n := randomNetwork(1, widths...)
		for _, rows := range []int{1, 3, 4, 5, 64} {
			src := randomRows(2, rows*n.In())
			got := n.Forward(src, rows, &Scratch{})
			current := src
			for _, layer := range n {
				next := make([]float32, rows*layer.Out)
				layer.forwardPortable(next, current, rows, 0)
				if layer.Tanh {
					for i, v := range next {
						next[i] = tanh32(v)
					}
				}
				current = next
			}
			require.Len(t, got, len(current))
			for i := range current {
				require.Equal(t, math.Float32bits(current[i]), math.Float32bits(got[i]), "widths %v rows %d value %d", widths, rows, i)
			}
		}
	}
}

func TestRowsAreIndependent(t *testing.T) {
	n := randomNetwork(3, 128, 64, 16, 64, 128)
	src := randomRows(4, 9*128)
	together := append([]float32(nil), n.Forward(src, 9, &Scratch{})...)
	for r := range 9 {
		alone := n.Forward(src[r*128:], 1, &Scratch{})
		require.Equal(t, together[r*128:(r+1)*128], alone)
	}
}

func TestFunctionsAgreeWithMath(t *testing.T) {
	relative := func(got, want float64) float64 { return math.Abs(got-want) / math.Max(math.Abs(want), 1e-300) }
	for x := -700.0; x < 700; x += 0.37 {
		require.Less(t, relative(Exp(x), math.Exp(x)), 5e-16, "exp %v", x)
	}
	for x := 1e-300; x < 1e300; x *= 1.7 {
		require.LessOrEqual(t, math.Abs(Log(x)-math.Log(x)), 5e-16*math.Max(1, math.Abs(math.Log(x))), "log %v", x)
	}
	for x := -30.0; x < 30; x += 0.013 {
		require.InDelta(t, math.Tanh(x), Tanh(x), 1e-15)
		require.InDelta(t, math.Tanh(x), float64(tanh32(float32(x))), 3e-7)
		require.InDelta(t, 1/(1+math.Exp(-x)), Sigmoid(x), 1e-15)
		require.InDelta(t, 0.5*math.Erfc(-x/math.Sqrt2), NormalCDF(x), 1e-14)
	}
	for p := 1e-6; p < 1; p += 0.00137 {
		require.InDelta(t, p, NormalCDF(NormalQuantile(p)), 1e-8)
	}
}

func TestEdges(t *testing.T) {
	require.Zero(t, Exp(-800))
	require.True(t, math.IsInf(Exp(710), 1))
	require.True(t, math.IsNaN(Exp(math.NaN())))
	require.True(t, math.IsInf(Log(0), -1))
	require.True(t, math.IsNaN(Log(-1)))
	require.Equal(t, 1.0, Exp(0))
	require.Zero(t, Log(1))
	require.InEpsilon(t, -744.4400719213812, Log(5e-324), 1e-15) // math.Log on amd64 is wrong here
	require.True(t, math.IsInf(NormalQuantile(0), -1))
	require.True(t, math.IsInf(NormalQuantile(1), 1))
	require.Equal(t, int64(1_500_000), ToMicro(1.5))
	require.Equal(t, int64(-1), ToMicro(-0.0000005))
	require.Equal(t, int64(math.MaxInt64), ToMicro(1e30))
	require.Zero(t, ToMicro(math.NaN()))
}

func TestNetworkValidation(t *testing.T) {
	require.NoError(t, randomNetwork(1, 3, 2, 3).Validate())
	require.Error(t, Network{}.Validate())
	n := randomNetwork(1, 3, 2, 3)
	n[1].In = 4
	require.ErrorContains(t, n.Validate(), "layer 1")
}
