/** The {@code tessera} command: the only place that prints. */
@NullMarked
package org.tessera.cli;

import org.jspecify.annotations.NullMarked;
