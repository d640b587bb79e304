package kernel

import "fmt"

// Dense is one fully connected layer: output o = activation(Bias[o] + Σ_i input[i]·Weights[i·Out+o]), summed for i = 0, 1, …
// in single precision with every product rounded.
type Dense struct {
	In, Out int
	Weights []float32 // In rows of Out
	Bias    []float32
	Tanh    bool // otherwise linear
}

// Network is a chain of layers.
type Network []Dense

// Validate reports whether shapes agree from layer to layer.
func (n Network) Validate() error {
	if len(n) == 0 {
		return fmt.Errorf("a network needs at least one layer")
	}
	for k, layer := range n {
		switch {
		case layer.In < 1 || layer.Out < 1:
			return fmt.Errorf("layer %d is %d by %d", k, layer.In, layer.Out)
		case len(layer.Weights) != layer.In*layer.Out || len(layer.Bias) != layer.Out:
			return fmt.Errorf("layer %d is %d by %d but has %d weights and %d biases", k, layer.In, layer.Out, len(layer.Weights), len(layer.Bias))
		case k > 0 && layer.In != n[k-1].Out:
			return fmt.Errorf("layer %d takes %d values, layer %d gives %d", k, layer.In, k-1, n[k-1].Out)
		}
	}
	return nil
}

// In is the width of the network's input.
func (n Network) In() int { return n[0].In }

// Out is the width of the network's output.
func (n Network) Out() int { return n[len(n)-1].Out }

// Scratch holds the intermediate values of a forward pass, so that scoring does not allocate. It belongs to one goroutine.
type Scratch struct{ a, b []float32 }

// Forward runs rows inputs, laid row after row in src, and returns the outputs in the same layout; the slice belongs to
// scratch until its next use. A row's result does not depend on the other rows. Forward panics, like an index out of range,
// when src is shorter than rows inputs.
func (n Network) Forward(src []float32, rows int, scratch *Scratch) []float32 {
	widest := 0
	for _, layer := range n {
		widest = max(widest, layer.Out)
	}
	if need := rows * widest; len(scratch.a) < need {
		scratch.a, scratch.b = make([]float32, need), make([]float32, need)
	}
	current, next := src[:rows*n.In()], scratch.a
	for k := range n {
		layer := &n[k]
		layer.forward(next, current, rows)
		if k%2 == 0 {
			current, next = next[:rows*layer.Out], scratch.b
		} else {
			current, next = next[:rows*layer.Out], scratch.a
		}
	}
	return current
}

func (d *Dense) forward(dst, src []float32, rows int) {
	done := 0
	if d.Out >= tileWidth && accelerated {
		done = d.Out - d.Out%tileWidth
		d.forwardTiles(dst, src, rows, done)
	}
	if done < d.Out {
		d.forwardPortable(dst, src, rows, done)
	}
	if d.Tanh {
		TanhInPlace(dst[:rows*d.Out])
	}
}

// forwardPortable computes outputs from first on, eight at a time so that the compiler keeps independent sums in registers.
func (d *Dense) forwardPortable(dst, src []float32, rows, first int) {
	for r := range rows {
		x := src[r*d.In : (r+1)*d.In]
		y := dst[r*d.Out : (r+1)*d.Out]
		o := first
		for ; o+8 <= d.Out; o += 8 {
			b := d.Bias[o : o+8 : o+8]
			s0, s1, s2, s3, s4, s5, s6, s7 := b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]
			at := o
			for _, v := range x {
				w := d.Weights[at : at+8 : at+8]
				s0 += float32(v * w[0])
				s1 += float32(v * w[1])
				s2 += float32(v * w[2])
				s3 += float32(v * w[3])
				s4 += float32(v * w[4])
				s5 += float32(v * w[5])
				s6 += float32(v * w[6])
				s7 += float32(v * w[7])
				at += d.Out
			}
			y[o], y[o+1], y[o+2], y[o+3], y[o+4], y[o+5], y[o+6], y[o+7] = s0, s1, s2, s3, s4, s5, s6, s7
		}
		for ; o < d.Out; o++ {
			s := d.Bias[o]
			for i, v := range x {
				s += float32(v * d.Weights[i*d.Out+o])
			}
			y[o] = s
		}
	}
}

// MeanSquare returns the mean of (a[i]−b[i])², added in order.
func MeanSquare(a, b []float32) float32 {
	sum := float32(0)
	for i, v := range a {
		d := v - b[i]
		sum += float32(d * d)
	}
	return sum / float32(len(a))
}
