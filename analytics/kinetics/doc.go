// Package kinetics predicts how the quality of goods changes with temperature: the growth of spoilage organisms in food
// (Ratkowsky's square-root rate, Baranyi's lag, a logistic ceiling) and the degradation of medicines and vaccines
// (Arrhenius, mean kinetic temperature, VVM categories), each with its uncertainty.
//
// What is not known (the rate of this organism in this milk, the exact initial count …) is carried by an ensemble of 64
// members whose parameters are drawn once, from a fixed low-discrepancy set, so that a prediction is a pure function of the
// profile and the readings. Everything is computed by package kernel and is the same bits on every machine; numbers that go
// on the ledger enter and leave as integers in millionths.
//
// The package may import analytics/kernel only.
package kinetics
