package org.tessera.api;

import org.tessera.image.SlicePlan;

/**
 * What a picture of some size becomes, without its pixels.
 *
 * @param slices how it is cut
 * @param imageTokens tokens of the prompt that its features take
 */
public record PicturePlan(SlicePlan slices, int imageTokens) {}
