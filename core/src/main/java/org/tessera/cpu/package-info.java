/**
 * The CPU backend. {@link org.tessera.cpu.ScalarOps} is slow and obviously right; devices run
 * {@code CpuOps}, which decides blocking and threads, over {@code Kernels}, the inner loops, of
 * which there are two: with the Vector API, and in plain Java where that module is absent.
 */
@NullMarked
package org.tessera.cpu;

import org.jspecify.annotations.NullMarked;
