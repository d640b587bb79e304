//go:build amd64 && !purego

package kernel

import "golang.org/x/sys/cpu"

const tileWidth = 16

// accelerated is whether the AVX2 tiles run; they give the bits of the portable code, so it is a matter of speed only.
var accelerated = cpu.X86.HasAVX2

//go:noescape
func tile4x16(inputs int, x *float32, xStride int, w *float32, wStride int, bias, dst *float32, dstStride int)

//go:noescape
func tile1x16(inputs int, x *float32, w *float32, wStride int, bias, dst *float32)

//go:noescape
func tanh8(values *float32, blocks int, constants *[11][8]float32)

var tanhConstants = func() *[11][8]float32 {
	var table [11][8]float32
	for row, value := range []float32{
		tanhCut, -tanhCut, tanhA13, tanhA11, tanhA9, tanhA7, tanhA5, tanhA3, tanhA1, 0, 0,
	} {
		for lane := range table[row] {
			table[row][lane] = value
		}
	}
	copy(table[9][:], []float32{tanhB6, tanhB4, tanhB2, tanhB0})
	return &table
}()

func (d *Dense) forwardTiles(dst, src []float32, rows, width int) {
	_ = src[rows*d.In-1]
	_ = dst[rows*d.Out-1]
	const float = 4
	r := 0
	for ; r+4 <= rows; r += 4 {
		for o := 0; o < width; o += tileWidth {
			tile4x16(d.In, &src[r*d.In], float*d.In, &d.Weights[o], float*d.Out, &d.Bias[o], &dst[r*d.Out+o], float*d.Out)
		}
	}
	for ; r < rows; r++ {
		for o := 0; o < width; o += tileWidth {
			tile1x16(d.In, &src[r*d.In], &d.Weights[o], float*d.Out, &d.Bias[o], &dst[r*d.Out+o])
		}
	}
}

func tanhTiles(values []float32) {
	tanh8(&values[0], len(values)/8, tanhConstants)
}
