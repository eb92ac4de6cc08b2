/** The scheduler: one thread that decides which sequences run in which step. */
@NullMarked
package org.tessera.engine;

import org.jspecify.annotations.NullMarked;
