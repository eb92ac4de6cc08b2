/**
 * The stable surface of the library: load a checkpoint, chat, stream, close. Values and the facade.
 */
@NullMarked
package org.tessera.api;

import org.jspecify.annotations.NullMarked;
