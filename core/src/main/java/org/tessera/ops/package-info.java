/** The vocabulary of inference operations that every backend implements. */
@NullMarked
package org.tessera.ops;

import org.jspecify.annotations.NullMarked;
