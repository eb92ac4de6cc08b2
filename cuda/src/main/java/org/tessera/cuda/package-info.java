/**
 * The CUDA backend: the face of the driver, NVRTC and cuBLASLt that the rest of this module uses.
 * Everything native is reached through {@link org.tessera.cuda.ffm}.
 */
@NullMarked
package org.tessera.cuda;

import org.jspecify.annotations.NullMarked;
