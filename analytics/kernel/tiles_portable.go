//go:build !amd64 || purego

package kernel

const (
	tileWidth   = 16
	accelerated = false
)

func (d *Dense) forwardTiles(dst, src []float32, rows, _ int) { d.forwardPortable(dst, src, rows, 0) }

func tanhTiles(values []float32) {
	for i, v := range values {
		values[i] = tanh32(v)
	}
}
