/** One readable file per network, in the checkpoint's own names and order. */
@NullMarked
package org.tessera.model;

import org.jspecify.annotations.NullMarked;
