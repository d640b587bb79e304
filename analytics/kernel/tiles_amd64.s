//go:build amd64 && !purego

#include "textflag.h"

// One product and one sum a step, each rounded (no FMA), in the order of the inputs: the bits of the portable code.
#define ROW(base, sumLow, sumHigh) \
	VBROADCASTSS (base)(AX*4), Y12; \
	VMULPS Y8, Y12, Y13; \
	VMULPS Y9, Y12, Y14; \
	VADDPS Y13, sumLow, sumLow; \
	VADDPS Y14, sumHigh, sumHigh

// func tile4x16(inputs int, x *float32, xStride int, w *float32, wStride int, bias, dst *float32, dstStride int)
TEXT ·tile4x16(SB), NOSPLIT, $0-64
	MOVQ inputs+0(FP), CX
	MOVQ x+8(FP), SI
	MOVQ xStride+16(FP), R8
	MOVQ w+24(FP), DI
	MOVQ wStride+32(FP), R9
	MOVQ bias+40(FP), R10
	MOVQ dst+48(FP), DX
	MOVQ dstStride+56(FP), R11
	LEAQ (SI)(R8*1), R12
	LEAQ (SI)(R8*2), R13
	LEAQ (R12)(R8*2), BX
	VMOVUPS (R10), Y0
	VMOVUPS 32(R10), Y1
	VMOVAPS Y0, Y2
	VMOVAPS Y1, Y3
	VMOVAPS Y0, Y4
	VMOVAPS Y1, Y5
	VMOVAPS Y0, Y6
	VMOVAPS Y1, Y7
	XORQ AX, AX

next:
	VMOVUPS (DI), Y8
	VMOVUPS 32(DI), Y9
	ROW(SI, Y0, Y1)
	ROW(R12, Y2, Y3)
	ROW(R13, Y4, Y5)
	ROW(BX, Y6, Y7)
	ADDQ R9, DI
	INCQ AX
	CMPQ AX, CX
	JLT next

	VMOVUPS Y0, (DX)
	VMOVUPS Y1, 32(DX)
	ADDQ R11, DX
	VMOVUPS Y2, (DX)
	VMOVUPS Y3, 32(DX)
	ADDQ R11, DX
	VMOVUPS Y4, (DX)
	VMOVUPS Y5, 32(DX)
	ADDQ R11, DX
	VMOVUPS Y6, (DX)
	VMOVUPS Y7, 32(DX)
	VZEROUPPER
	RET

// func tile1x16(inputs int, x *float32, w *float32, wStride int, bias, dst *float32)
TEXT ·tile1x16(SB), NOSPLIT, $0-48
	MOVQ inputs+0(FP), CX
	MOVQ x+8(FP), SI
	MOVQ w+16(FP), DI
	MOVQ wStride+24(FP), R9
	MOVQ bias+32(FP), R10
	MOVQ dst+40(FP), DX
	VMOVUPS (R10), Y0
	VMOVUPS 32(R10), Y1
	XORQ AX, AX

next1:
	VMOVUPS (DI), Y8
	VMOVUPS 32(DI), Y9
	ROW(SI, Y0, Y1)
	ADDQ R9, DI
	INCQ AX
	CMPQ AX, CX
	JLT next1

	VMOVUPS Y0, (DX)
	VMOVUPS Y1, 32(DX)
	VZEROUPPER
	RET

#define STEP(row) \
	VMULPS Y1, Y2, Y2; \
	VADDPS row(DX), Y2, Y2

// func tanh8(values *float32, blocks int, constants *[11][8]float32)
TEXT ·tanh8(SB), NOSPLIT, $0-24
	MOVQ values+0(FP), SI
	MOVQ blocks+8(FP), CX
	MOVQ constants+16(FP), DX
	VMOVUPS (DX), Y4
	VMOVUPS 32(DX), Y5
	VMOVUPS 64(DX), Y6
	VBROADCASTSS 288(DX), Y7
	VBROADCASTSS 292(DX), Y8
	VBROADCASTSS 296(DX), Y9
	VBROADCASTSS 300(DX), Y10

block:
	VMOVUPS (SI), Y0
	VMINPS Y0, Y4, Y0
	VMAXPS Y0, Y5, Y0
	VMULPS Y0, Y0, Y1
	VMULPS Y1, Y6, Y2
	VADDPS 96(DX), Y2, Y2
	STEP(128)
	STEP(160)
	STEP(192)
	STEP(224)
	STEP(256)
	VMULPS Y0, Y2, Y2
	VMULPS Y1, Y7, Y3
	VADDPS Y8, Y3, Y3
	VMULPS Y1, Y3, Y3
	VADDPS Y9, Y3, Y3
	VMULPS Y1, Y3, Y3
	VADDPS Y10, Y3, Y3
	VDIVPS Y3, Y2, Y2
	VMOVUPS Y2, (SI)
	ADDQ $32, SI
	DECQ CX
	JNZ block
	VZEROUPPER
	RET
