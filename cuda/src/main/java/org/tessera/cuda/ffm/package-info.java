/**
 * Bindings of four libraries by java.lang.foreign, three layers each: an interface in C's terms
 * ({@code DriverApi}), the class that holds the method handles ({@code DriverHandles}) and the Java
 * face, which checks every status ({@code Driver}).
 *
 * <p>Opaque handles and device pointers are Java longs: on the 64-bit ABIs that CUDA exists for
 * they are passed alike, and a long needs no object. Host memory that a call reads or writes is a
 * {@link java.lang.foreign.MemorySegment}, except in the calls of the decoding loop, which take
 * addresses so as not to allocate. No call is bound as {@code critical}: the short ones are not
 * called often, and those called often may block when the stream's queue is full.
 */
@NullMarked
package org.tessera.cuda.ffm;

import org.jspecify.annotations.NullMarked;
