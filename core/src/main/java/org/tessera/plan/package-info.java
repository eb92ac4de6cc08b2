/**
 * The device map: pure arithmetic from the sizes of a model and the memory of devices to a
 * printable plan or a {@link org.tessera.error.PlanException}. {@link org.tessera.plan.PlanService}
 * is the way in.
 */
@NullMarked
package org.tessera.plan;

import org.jspecify.annotations.NullMarked;
