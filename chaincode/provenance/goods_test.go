package provenance

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHolderAt(t *testing.T) {
	c := Custody{}
	require.Empty(t, c.Holder())
	require.Empty(t, c.HolderAt(5))
	c.Pass("A", 10, "")
	before := c
	c.Pass("B", 20, "h1")
	c.Pass("C", 15, "h2") // a clock that went back
	require.Equal(t, "A", before.Holder(), "a copy stays what it was")
	require.Equal(t, []string{"", "A", "A", "C", "C"}, []string{c.HolderAt(9), c.HolderAt(10), c.HolderAt(19), c.HolderAt(20), c.HolderAt(99)})
	require.Equal(t, "C", c.Holder())
	for i := range 2 * MaxCustodyTerms {
		c.Pass("D", Time(100+i), "")
	}
	require.Len(t, c.Terms, MaxCustodyTerms)
}

func TestLicencesDoNotOverlap(t *testing.T) {
	l := Licence{}
	require.Nil(t, l.Add(LicenceTerm{Organisation: "B", From: 20}))
	require.Nil(t, l.Add(LicenceTerm{Organisation: "A", From: 10, To: 20}))
	require.Equal(t, "B", l.Add(LicenceTerm{From: 30, To: 31}).Organisation)
	require.Equal(t, "A", l.Add(LicenceTerm{From: 5, To: 11}).Organisation)
	require.Equal(t, []string{"", "A", "A", "B"}, []string{l.At(9), l.At(10), l.At(19), l.At(20)})
	require.Equal(t, Time(10), l.Terms[0].From)
}

func TestEveryFlagHasAWord(t *testing.T) {
	require.Len(t, flagWords, 9)
	require.Equal(t, []string{"without-history", "declared-wrong"}, (WithoutHistory | DeclaredWrong).Words())
	require.Empty(t, Flags(0).Words())
	require.Equal(t, "declared-wrong", flagWords[len(flagWords)-1])
	require.Equal(t, DeclaredWrong, Flags(1)<<(len(flagWords)-1))
}

func TestTotalsCountTheNewestAnswerOfEach(t *testing.T) {
	lot := &Recalled{Asked: []string{"A", "B"}, Answers: []RecallAnswer{{Organisation: "A", Answer: AnswerNotFound}, {Organisation: "A", Answer: AnswerSold}}}
	totals := RecallTotals{}
	totals.Count(lot)
	require.Equal(t, RecallTotals{Things: 1, Sold: 1}, totals, "B has not answered")
	lot.Answers = append(lot.Answers, RecallAnswer{Organisation: "B", Answer: AnswerDestroyed})
	totals = RecallTotals{}
	totals.Count(lot)
	totals.Count(&Recalled{}) // a transformation
	totals.Count(&Recalled{Asked: []string{"A"}, Answers: []RecallAnswer{{Organisation: "C", Answer: AnswerQuarantined}}})
	require.Equal(t, RecallTotals{Things: 2, Answered: 2, Sold: 1, Destroyed: 1, Quarantined: 1}, totals)
}
