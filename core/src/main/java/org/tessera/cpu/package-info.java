/** The CPU backend. {@link org.tessera.cpu.ScalarOps} is slow and obviously right. */
@NullMarked
package org.tessera.cpu;

import org.jspecify.annotations.NullMarked;
