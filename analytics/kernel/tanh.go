package kernel

// The rational approximation of tanh of Eigen's ptanh: odd numerator of degree 13 over even denominator of degree 6, on
// arguments cut at ±7.905; at most 5 ulp from tanh.
const (
	tanhCut = 7.90531110763549805

	tanhA1, tanhA3, tanhA5  = 4.89352455891786e-03, 6.37261928875436e-04, 1.48572235717979e-05
	tanhA7, tanhA9, tanhA11 = 5.12229709037114e-08, -8.60467152213735e-11, 2.00018790482477e-13
	tanhA13                 = -2.76076847742355e-16
	tanhB0, tanhB2, tanhB4  = 4.89352518554385e-03, 2.26843463243900e-03, 1.18534705686654e-04
	tanhB6                  = 1.19825839466702e-06
)

// TanhInPlace replaces every value by its hyperbolic tangent.
func TanhInPlace(values []float32) {
	done := 0
	if accelerated && len(values) >= 8 {
		done = len(values) &^ 7
		tanhTiles(values[:done])
	}
	for i := done; i < len(values); i++ {
		values[i] = tanh32(values[i])
	}
}

func tanh32(x float32) float32 {
	if x > tanhCut {
		x = tanhCut
	}
	if x < -tanhCut {
		x = -tanhCut
	}
	s := float32(x * x)
	p := float32(s*tanhA13) + tanhA11
	p = float32(p*s) + tanhA9
	p = float32(p*s) + tanhA7
	p = float32(p*s) + tanhA5
	p = float32(p*s) + tanhA3
	p = float32(p*s) + tanhA1
	q := float32(s*tanhB6) + tanhB4
	q = float32(q*s) + tanhB2
	q = float32(q*s) + tanhB0
	return float32(p*x) / q
}
