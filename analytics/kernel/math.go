package kernel

import "math"

const (
	ln2High = 6.93147180369123816490e-01 // 0x3fe62e42 fee00000: the low 32 bits are zero, so k*ln2High is exact
	ln2Low  = 1.90821492927058770002e-10
	log2E   = 1.44269504088896338700
	// Ln10 is the natural logarithm of ten.
	Ln10  = 2.30258509299404568402
	inv10 = 1 / Ln10
)

// Exp returns e**x within 1 ulp, by the reduction and rational of FreeBSD's e_exp.c. It overflows to +Inf above 709.78
// and underflows to 0 below -708 (results that would be subnormal are flushed, so that no build can differ on them).
func Exp(x float64) float64 {
	switch {
	case math.IsNaN(x):
		return math.NaN()
	case x > 709.782712893384:
		return math.Inf(1)
	case x < -708:
		return 0
	}
	k := math.Floor(float64(x*log2E) + 0.5)
	hi := x - float64(k*ln2High)
	lo := float64(k * ln2Low)
	r := hi - lo
	t := float64(r * r)
	p := float64(t*4.13813679705723846039e-08) + -1.65339022054652515390e-06
	p = float64(t*p) + 6.61375632143793436117e-05
	p = float64(t*p) + -2.77777777770155933842e-03
	p = float64(t*p) + 1.66666666666666019037e-01
	c := r - float64(t*p)
	y := 1 - ((lo - float64(r*c)/(2-c)) - hi)
	if k > 1023 {
		return math.Ldexp(y, int(k))
	}
	// A power of two is exact; k is at least -1021, so that the result is normal.
	return float64(y * math.Float64frombits(uint64(int64(k)+1023)<<52))
}

// Log returns the natural logarithm of x within 1 ulp, by the reduction and polynomial of FreeBSD's e_log.c.
func Log(x float64) float64 {
	switch {
	case math.IsNaN(x) || x < 0:
		return math.NaN()
	case x == 0:
		return math.Inf(-1)
	case math.IsInf(x, 1):
		return x
	}
	f1, ki := math.Frexp(x)
	if f1 < math.Sqrt2/2 {
		f1 *= 2
		ki--
	}
	f := f1 - 1
	k := float64(ki)
	s := f / (2 + f)
	s2 := float64(s * s)
	s4 := float64(s2 * s2)
	a := float64(s4*1.479819860511658591e-01) + 1.818357216161805012e-01
	a = float64(s4*a) + 2.857142874366239149e-01
	a = float64(s4*a) + 6.666666666666735130e-01
	t1 := float64(s2 * a)
	b := float64(s4*1.531383769920937332e-01) + 2.222219843214978396e-01
	b = float64(s4*b) + 3.999999999940941908e-01
	t2 := float64(s4 * b)
	r := t1 + t2
	half := float64(float64(0.5*f) * f)
	return float64(k*ln2High) - ((half - (float64(s*(half+r)) + float64(k*ln2Low))) - f)
}

// Log10 returns the decimal logarithm of x.
func Log10(x float64) float64 { return float64(Log(x) * inv10) }

// Pow10 returns ten to the power x.
func Pow10(x float64) float64 { return Exp(float64(x * Ln10)) }

// Tanh returns the hyperbolic tangent of x in double precision (models use the single precision rational of TanhInPlace).
func Tanh(x float64) float64 {
	if x < 0 {
		return -Tanh(-x)
	}
	if x > 22 {
		return 1
	}
	e := Exp(float64(2 * x))
	return 1 - 2/(e+1)
}

// Sigmoid returns 1/(1+e**-x).
func Sigmoid(x float64) float64 { return 1 / (1 + Exp(-x)) }

// NormalCDF returns the probability that a standard normal variable is at most x. It is Hart's rational (1968, algorithm
// 5666) as West gives it, with an absolute error below 1e-14.
func NormalCDF(x float64) float64 {
	z := math.Abs(x)
	var tail float64
	switch {
	case math.IsNaN(x):
		return math.NaN()
	case z > 37:
		tail = 0
	case z < 7.07106781186547:
		e := Exp(-float64(z*z) / 2)
		n := horner(z, 3.52624965998911e-02, 0.700383064443688, 6.37396220353165, 33.912866078383, 112.079291497871, 221.213596169931, 220.206867912376)
		d := horner(z, 8.83883476483184e-02, 1.75566716318264, 16.064177579207, 86.7807322029461, 296.564248779674, 637.333633378831, 793.826512519948, 440.413735824752)
		tail = float64(e*n) / d
	default:
		e := Exp(-float64(z*z) / 2)
		d := z + 1/(z+2/(z+3/(z+4/(z+0.65))))
		tail = e / d / 2.506628274631
	}
	if x > 0 {
		return 1 - tail
	}
	return tail
}

// NormalQuantile returns the x for which NormalCDF(x) = p, by Acklam's rational (relative error below 1.2e-9). p outside
// (0, 1) gives an infinity.
func NormalQuantile(p float64) float64 {
	switch {
	case math.IsNaN(p):
		return math.NaN()
	case p <= 0:
		return math.Inf(-1)
	case p >= 1:
		return math.Inf(1)
	case p < 0.02425:
		return quantileTail(p)
	case p > 1-0.02425:
		return -quantileTail(1 - p)
	}
	q := p - 0.5
	r := float64(q * q)
	n := horner(r, -3.969683028665376e+01, 2.209460984245205e+02, -2.759285104469687e+02, 1.383577518672690e+02, -3.066479806614716e+01, 2.506628277459239e+00)
	d := horner(r, -5.447609879822406e+01, 1.615858368580409e+02, -1.556989798598866e+02, 6.680131188771972e+01, -1.328068155288572e+01, 1)
	return float64(n*q) / d
}

func quantileTail(p float64) float64 {
	q := math.Sqrt(float64(-2 * Log(p)))
	n := horner(q, -7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e+00, -2.549732539343734e+00, 4.374664141464968e+00, 2.938163982698783e+00)
	d := horner(q, 7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00, 3.754408661907416e+00, 1)
	return n / d
}

// horner evaluates a polynomial, highest coefficient first.
func horner(x float64, coefficients ...float64) float64 {
	y := coefficients[0]
	for _, c := range coefficients[1:] {
		y = float64(y*x) + c
	}
	return y
}

// ToMicro rounds x to millionths, halves away from zero, and saturates at the range of int64. NaN gives 0.
func ToMicro(x float64) int64 {
	v := math.Round(float64(x * Micro))
	switch {
	case math.IsNaN(v):
		return 0
	case v >= math.MaxInt64:
		return math.MaxInt64
	case v <= math.MinInt64:
		return math.MinInt64
	}
	return int64(v)
}

// FromMicro returns the value of a number of millionths.
func FromMicro(v int64) float64 { return float64(v) / Micro }
