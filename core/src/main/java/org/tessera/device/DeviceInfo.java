package org.tessera.device;

/**
 * A device as its backend describes it before it is opened.
 *
 * @param id as users write it: {@code cpu}, {@code cuda:0}
 * @param name the maker's name for it
 * @param totalBytes memory in all
 * @param freeBytes memory that could be taken now
 */
public record DeviceInfo(String id, String name, long totalBytes, long freeBytes) {}
