package detect

// goldenBits is the hash TestSameBitsEverywhere must find; it changes only with the arithmetic of a score.
const goldenBits = 0x5f72c6c3
