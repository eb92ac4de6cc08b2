/** Handles on device memory: element types, shapes and tensors. Nothing here computes. */
@NullMarked
package org.tessera.tensor;

import org.jspecify.annotations.NullMarked;
