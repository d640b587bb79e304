package detect

import (
	"errors"
	"fmt"
	"math"

	"github.com/trailmark/trailmark/analytics/kernel"
)

// PCA is the classical chart of a multivariate process: Hotelling's T² in the plane of the principal components that
// hold nine tenths of the variance, and Q, the squared distance from that plane, each smoothed over five points as in
// SKAB's own baseline. It alarms where either exceeds the level it had, by an extreme-value tail, once in 1/rate points
// of the normal stretch. It is here to be beaten.
type PCA struct {
	mean, spread []float64
	axes         [][]float64 // the kept eigenvectors
	values       []float64   // and their eigenvalues
	levels       [2]float64  // of T² and Q
	recent       [][2]float64
}

const (
	pcaShare  = 0.9
	pcaSmooth = 5
	pcaLeast  = 100
)

// FitPCA learns from a normal stretch of at least 100 rows; a missing value is taken as its sensor's mean.
func FitPCA(rows [][]float64, rate float64) (*PCA, error) {
	if err := checkRows(rows, pcaLeast); err != nil {
		return nil, fmt.Errorf("fitting PCA: %w", err)
	}
	if !between(rate, 1e-9, 0.02) {
		return nil, fmt.Errorf("fitting PCA: false-alarm rate %v, not between 1e-9 and 0.02", rate)
	}
	width := len(rows[0])
	p := &PCA{mean: windowMean(rows, width), spread: make([]float64, width)}
	for c := range width {
		if math.IsNaN(p.mean[c]) {
			return nil, fmt.Errorf("fitting PCA: sensor %d has no value", c)
		}
		sum, n := 0.0, 0
		for _, r := range rows {
			if !missing(r[c]) {
				d := r[c] - p.mean[c]
				sum += float64(d * d)
				n++
			}
		}
		p.spread[c] = max(math.Sqrt(sum/float64(n)), 1e-12)
	}
	cov := make([][]float64, width)
	for i := range cov {
		cov[i] = make([]float64, width)
	}
	for _, r := range rows {
		z := p.standard(r)
		for i := range z {
			for j := range z {
				cov[i][j] += float64(z[i] * z[j])
			}
		}
	}
	total := 0.0
	for i := range cov {
		for j := range cov {
			cov[i][j] /= float64(len(rows))
		}
		total += cov[i][i]
	}
	values, vectors, err := eigen(cov)
	if err != nil {
		return nil, fmt.Errorf("fitting PCA: %w", err)
	}
	kept := 0.0
	for i, v := range values {
		if kept >= pcaShare*total || v <= 1e-9*total {
			break
		}
		kept += v
		p.axes, p.values = append(p.axes, vectors[i]), append(p.values, v)
	}
	var tails [2]tail
	for i := range tails {
		tails[i].limit = len(rows)
	}
	for _, r := range rows {
		s := p.smoothed(r)
		for i := range tails {
			tails[i].add(s[i])
		}
	}
	for i := range tails {
		p.levels[i] = max(tails[i].level(-kernel.Log10(rate)), 1e-12)
	}
	return p, nil
}

func (p *PCA) standard(values []float64) []float64 {
	z := make([]float64, len(p.mean))
	for c, x := range values {
		if !missing(x) {
			z[c] = min(max((x-p.mean[c])/p.spread[c], -deviationMost), deviationMost)
		}
	}
	return z
}

func (p *PCA) smoothed(values []float64) [2]float64 {
	z := p.standard(values)
	var s [2]float64
	for i, axis := range p.axes {
		dot := 0.0
		for c := range z {
			dot += float64(z[c] * axis[c])
		}
		s[0] += float64(dot*dot) / p.values[i]
		for c := range z {
			z[c] -= float64(dot * axis[c]) // axes are orthonormal: what is left at the end is off the plane
		}
	}
	for c := range z {
		s[1] += float64(z[c] * z[c])
	}
	if len(p.recent) == pcaSmooth {
		copy(p.recent, p.recent[1:])
		p.recent = p.recent[:pcaSmooth-1]
	}
	p.recent = append(p.recent, s)
	var mean [2]float64
	for _, r := range p.recent {
		mean[0] += r[0]
		mean[1] += r[1]
	}
	return [2]float64{mean[0] / float64(len(p.recent)), mean[1] / float64(len(p.recent))}
}

// Push scores the next point: Value is the larger of T² and Q over its level, Alarm where that exceeds one.
func (p *PCA) Push(values []float64) (Score, error) {
	if len(values) != len(p.mean) {
		return Score{}, ErrWidth
	}
	s := p.smoothed(values)
	v := max(s[0]/p.levels[0], s[1]/p.levels[1])
	return Score{Value: v, Novelty: v, Alarm: v > 1, Channel: Joint}, nil
}

// eigen decomposes a symmetric matrix by cyclic Jacobi rotations in a fixed order; eigenvalues descend.
func eigen(a [][]float64) (values []float64, vectors [][]float64, err error) {
	n := len(a)
	v := make([][]float64, n)
	for i := range v {
		v[i] = make([]float64, n)
		v[i][i] = 1
	}
	for sweep := 0; ; sweep++ {
		off, on := 0.0, 0.0
		for i := range n {
			on += float64(a[i][i] * a[i][i])
			for j := i + 1; j < n; j++ {
				off += float64(a[i][j] * a[i][j])
			}
		}
		if off <= 1e-24*on {
			break
		}
		if sweep == 100 {
			return nil, nil, errors.New("eigenvalues did not converge")
		}
		for i := range n {
			for j := i + 1; j < n; j++ {
				rotate(a, v, i, j)
			}
		}
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
		for k := i; k > 0 && a[order[k]][order[k]] > a[order[k-1]][order[k-1]]; k-- {
			order[k], order[k-1] = order[k-1], order[k]
		}
	}
	for _, k := range order {
		axis := make([]float64, n)
		for i := range axis {
			axis[i] = v[i][k]
		}
		values, vectors = append(values, a[k][k]), append(vectors, axis)
	}
	return values, vectors, nil
}

// rotate zeroes a[i][j].
func rotate(a, v [][]float64, i, j int) {
	if a[i][j] == 0 {
		return
	}
	theta := (a[j][j] - a[i][i]) / float64(2*a[i][j])
	t := 1 / (math.Abs(theta) + math.Sqrt(float64(theta*theta)+1))
	if theta < 0 {
		t = -t
	}
	c := 1 / math.Sqrt(float64(t*t)+1)
	s := float64(t * c)
	for k := range a {
		x, y := a[k][i], a[k][j]
		a[k][i], a[k][j] = float64(c*x)-float64(s*y), float64(s*x)+float64(c*y)
	}
	for k := range a {
		x, y := a[i][k], a[j][k]
		a[i][k], a[j][k] = float64(c*x)-float64(s*y), float64(s*x)+float64(c*y)
	}
	for k := range v {
		x, y := v[k][i], v[k][j]
		v[k][i], v[k][j] = float64(c*x)-float64(s*y), float64(s*x)+float64(c*y)
	}
}
