/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a VM runs. Set by its monitor: x0 and x1 are where the range begins and ends, x2 is 1 to check
 * it; x3 is a page's bytes, x4 their logarithm, x5 the lines in which the pattern may be, x6 the
 * address of the words; x20 to x23 are the seed times its factor, the step, and the two factors. What
 * it does: vm_code.c.
 */

	.section .rodata.vm_code, "a"
	.balign	64
	.global	vm_code, vm_abort_code, vm_abort_code_end
vm_code:
	mrs	x9, cntvct_el0
	str	x9, [x6]
1:	mov	x11, #0	/* pages */
	mov	x12, #0	/* bad ones */
2:	cmp	x0, x1
	b.hs	7f
	lsr	x9, x0, x4
	add	x9, x9, #1
	madd	x9, x9, x21, x20
	eor	x9, x9, x9, lsr #30
	mul	x9, x9, x22
	eor	x9, x9, x9, lsr #27
	mul	x9, x9, x23
	eor	x9, x9, x9, lsr #31	/* the page's number */
	lsr	x13, x9, #32
	udiv	x14, x13, x5
	msub	x13, x14, x5, x13
	add	x13, x13, #4	/* VM_CODE_LINES */
	add	x13, x0, x13, lsl #6	/* its line */
	add	x14, x13, #64
	mov	x16, #0
	cbnz	x2, 4f
3:	str	x9, [x13], #8
	add	x9, x9, x21
	cmp	x13, x14
	b.lo	3b
	b	6f
4:	ldr	x15, [x13], #8
	eor	x15, x15, x9
	orr	x16, x16, x15
	add	x9, x9, x21
	cmp	x13, x14
	b.lo	4b
	cmp	x16, #0
	cinc	x12, x12, ne
6:	add	x11, x11, #1
	add	x0, x0, x3
	b	2b
7:	str	x11, [x6, #8]
	str	x12, [x6, #16]
	b	1b
	.org	vm_code + 256	/* VM_CODE_BYTES */
vm_abort_code:
	mrs	x9, esr_el1
	str	x9, [x6, #24]
	b	.
vm_abort_code_end:

	.section .note.GNU-stack, "", %progbits
