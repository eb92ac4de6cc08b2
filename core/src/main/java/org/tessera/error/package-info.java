/** Typed, unchecked exceptions whose message is one sentence that a user can act on. */
@NullMarked
package org.tessera.error;

import org.jspecify.annotations.NullMarked;
