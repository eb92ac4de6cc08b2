package org.tessera.api;

/**
 * Tokens of a request.
 *
 * @param promptTokens all tokens of the prompt, pictures included
 * @param completionTokens generated tokens, the terminator included
 * @param imageTokens placeholder tokens of pictures among the prompt's
 * @param cachedTokens prompt tokens whose keys and values were there already
 * @param imageSlices slices of all pictures, overviews included
 * @param encodedSlices slices that went through the vision tower; fewer where some were cached
 */
public record Usage(
    int promptTokens,
    int completionTokens,
    int imageTokens,
    int cachedTokens,
    int imageSlices,
    int encodedSlices) {}
