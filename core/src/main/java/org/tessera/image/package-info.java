/**
 * Pictures and videos to the values that the vision tower reads: decoding, the slice plan, Pillow's
 * bicubic resize, normalising, cutting into patches. Pure functions over pixels; nothing here knows
 * a model, a device or a request.
 */
@NullMarked
package org.tessera.image;

import org.jspecify.annotations.NullMarked;
