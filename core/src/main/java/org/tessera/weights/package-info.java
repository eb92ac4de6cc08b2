/**
 * The tensors of a checkpoint: safetensors files checked and memory-mapped, random weights of the
 * same shapes, and the cursor with which a model fetches either by the names of its own module
 * tree. No tensor is ever on the heap.
 */
@NullMarked
package org.tessera.weights;

import org.jspecify.annotations.NullMarked;
