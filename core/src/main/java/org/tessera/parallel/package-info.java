/** Ranks, collectives and the four linears that know a model can be cut. */
@NullMarked
package org.tessera.parallel;

import org.jspecify.annotations.NullMarked;
