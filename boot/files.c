/*
 * Reads the configuration and the guests' images from the volume this application was started from. Every
 * byte of them is a stranger's. Must never write to the volume.
 */
#include "boot/blobs.h"
#include "boot/boot.h"
#include "boot/console.h"
#include "boot/unpack.h"
#include "guest/abi.h"
#include "hv/fmt.h"
#include "hv/image.h"

#define CONFIG_MAX_BYTES MIB
#define DIRECTORY_PATH   "\\freehold\\"
#define PATH_BYTES       (sizeof(DIRECTORY_PATH) + CONFIG_IMAGE_BYTES)
#define READ_CHUNK_BYTES MIB

/* What opening a file can give that is worth telling apart. */
enum file_status { FILE_OK, FILE_ABSENT, FILE_NOT_A_FILE, FILE_TOO_LARGE, FILE_NO_MEMORY, FILE_UNREADABLE };

struct file {
    void *bytes; /* whole frames */
    uint64_t length;
};

/* The root directory of the volume we come from, or NULL: started over the network, or from nowhere. */
static EFI_FILE_HANDLE open_volume(struct boot *boot)
{
    EFI_GUID loaded_guid = EFI_LOADED_IMAGE_PROTOCOL_GUID, volume_guid = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID;
    EFI_LOADED_IMAGE *loaded = NULL;
    EFI_FILE_IO_INTERFACE *volume = NULL;
    EFI_FILE_HANDLE root = NULL;
    EFI_BOOT_SERVICES *services = boot->services;
    if (EFI_ERROR(services->HandleProtocol(boot->image, &loaded_guid, (void **)&loaded)) || loaded == NULL ||
        loaded->DeviceHandle == NULL)
        return NULL;
    if (EFI_ERROR(services->HandleProtocol(loaded->DeviceHandle, &volume_guid, (void **)&volume)) ||
        volume == NULL)
        return NULL;
    return EFI_ERROR(volume->OpenVolume(volume, &root)) ? NULL : root;
}

static enum file_status file_length(EFI_FILE_HANDLE handle, uint64_t *length)
{
    EFI_GUID guid = EFI_FILE_INFO_ID;
    union {
        EFI_FILE_INFO info;
        uint8_t room[sizeof(EFI_FILE_INFO) + 512]; /* the name follows the structure */
    } buffer;
    UINTN bytes = sizeof(buffer);
    if (EFI_ERROR(handle->GetInfo(handle, &guid, &bytes, &buffer)))
        return FILE_UNREADABLE;
    if ((buffer.info.Attribute & EFI_FILE_DIRECTORY) != 0)
        return FILE_NOT_A_FILE;
    *length = buffer.info.FileSize;
    return FILE_OK;
}

/* Reads exactly `length` bytes, in pieces that any firmware's disk driver can take. */
static bool read_exactly(EFI_FILE_HANDLE handle, uint8_t *to, uint64_t length)
{
    while (length > 0) {
        UINTN piece = min_u64(length, READ_CHUNK_BYTES);
        if (EFI_ERROR(handle->Read(handle, &piece, to)) || piece == 0 || piece > length)
            return false;
        to += piece;
        length -= piece;
    }
    return true;
}

static enum file_status read_open_file(struct boot *boot, EFI_FILE_HANDLE handle, uint64_t max_bytes,
                                       struct file *file)
{
    enum file_status status = file_length(handle, &file->length);
    if (status != FILE_OK)
        return status;
    if (file->length > max_bytes)
        return FILE_TOO_LARGE;
    file->bytes = boot_take(boot, max_u64(file->length, 1), EfiLoaderData, ANYWHERE);
    if (file->bytes == NULL)
        return FILE_NO_MEMORY;
    return read_exactly(handle, file->bytes, file->length) ? FILE_OK : FILE_UNREADABLE;
}

/* path: ASCII, with backslashes, from the volume's root. */
static enum file_status read_file(struct boot *boot, const char *path, uint64_t max_bytes, struct file *file)
{
    CHAR16 wide[PATH_BYTES];
    size_t length = fmt_length(path, PATH_BYTES - 1);
    for (size_t i = 0; i < length; i++)
        wide[i] = (CHAR16)(path[i] & 0x7F);
    wide[length] = 0;

    EFI_FILE_HANDLE root = open_volume(boot), handle = NULL;
    if (root == NULL)
        return FILE_ABSENT;
    EFI_STATUS opened = root->Open(root, &handle, wide, EFI_FILE_MODE_READ, 0);
    enum file_status status = opened == EFI_NOT_FOUND ? FILE_ABSENT : FILE_UNREADABLE;
    if (!EFI_ERROR(opened)) {
        status = read_open_file(boot, handle, max_bytes, file);
        (void)handle->Close(handle);
    }
    (void)root->Close(root);
    return status;
}

/* What went wrong, as the end of a sentence that begins with the file's name. */
static const char *file_status_text(enum file_status status)
{
    switch (status) {
    case FILE_OK:
        return "can be read";
    case FILE_ABSENT:
        return "is not on the volume Freehold was started from";
    case FILE_NOT_A_FILE:
        return "is a directory, not a file";
    case FILE_TOO_LARGE:
        return "is too large";
    case FILE_NO_MEMORY:
        return "does not fit the firmware's free memory";
    case FILE_UNREADABLE:
        break;
    }
    return "cannot be read; check the volume's file system";
}

/* ---------------------------------------------------------------- the configuration */

static void use_default(struct handoff *handoff)
{
    (void)fmt_copy(handoff->config_source, sizeof(handoff->config_source), "built-in default");
    config_default(&handoff->machine, &handoff->config);
    say("No " CONFIG_PATH ": the built-in configuration is used\n");
}

bool read_configuration(struct boot *boot)
{
    struct handoff *handoff = boot->handoff;
    struct file file = {0};
    enum file_status status = read_file(boot, CONFIG_PATH, CONFIG_MAX_BYTES, &file);
    if (status == FILE_ABSENT) {
        use_default(handoff);
        return true;
    }
    if (status != FILE_OK)
        return boot_refuse(boot, REFUSED_CONFIG, EFI_LOAD_ERROR, CONFIG_PATH " %s", file_status_text(status));

    (void)fmt_copy(handoff->config_source, sizeof(handoff->config_source), CONFIG_PATH);
    struct diag diag;
    if (!config_parse(file.bytes, file.length, &handoff->config, &diag))
        return boot_refuse_at(boot, REFUSED_CONFIG, EFI_INVALID_PARAMETER, diag.pos, "%s", diag.message);
    return true;
}

/* ---------------------------------------------------------------- the images */

/* A built-in guest is unpacked into frames of its own, like a file that is read. */
static enum file_status unpack_builtin(struct boot *boot, const char *name, struct file *file)
{
    struct blob blob = blob_guest(name);
    if (blob.length == 0)
        return FILE_ABSENT;
    file->length = unpack_bytes(blob.bytes, blob.length);
    file->bytes = boot_take(boot, file->length, EfiLoaderData, ANYWHERE);
    if (file->bytes == NULL)
        return FILE_NO_MEMORY;
    return unpack(blob.bytes, blob.length, file->bytes) ? FILE_OK : FILE_UNREADABLE;
}

static bool same_image(const struct partition_config *a, const struct partition_config *b)
{
    return a->image_builtin == b->image_builtin && fmt_equal(a->image, b->image);
}

/* Partitions with the same image share one copy: it is only ever read. NULL when this one is the first. */
static const struct handoff_image *find_loaded(const struct handoff *handoff, uint32_t index)
{
    const struct partition_config *partitions = handoff->config.partitions;
    for (uint32_t i = 0; i < index; i++)
        if (same_image(&partitions[i], &partitions[index]))
            return &handoff->images[i];
    return NULL;
}

static enum file_status load_image(struct boot *boot, const struct partition_config *partition,
                                   struct file *file)
{
    if (partition->image_builtin)
        return unpack_builtin(boot, partition->image, file);
    char path[PATH_BYTES];
    fmt_snprintf(path, sizeof(path), DIRECTORY_PATH "%s", partition->image);
    return read_file(boot, path, IMAGE_MAX_BYTES, file);
}

static bool refuse_image(struct boot *boot, const struct partition_config *partition, const char *problem)
{
    return boot_refuse_at(boot, REFUSED_IMAGE, EFI_LOAD_ERROR, partition->at_image,
                          "partition \"%s\": image %s%s %s", partition->name,
                          partition->image_builtin ? "builtin:" : DIRECTORY_PATH, partition->image, problem);
}

static bool read_image(struct boot *boot, uint32_t index)
{
    const struct partition_config *partition = &boot->handoff->config.partitions[index];
    struct handoff_image *image = &boot->handoff->images[index];
    const struct handoff_image *loaded = find_loaded(boot->handoff, index);
    if (loaded != NULL) {
        *image = *loaded;
    } else {
        struct file file = {0};
        enum file_status status = load_image(boot, partition, &file);
        if (status != FILE_OK)
            return refuse_image(boot, partition, file_status_text(status));
        *image = (struct handoff_image){
            .base = (uint64_t)file.bytes,
            .bytes = file.length,
            .flat = partition->image_flat,
        };
    }
    struct image_layout layout;
    uint64_t low_memory = min_u64(partition->memory_bytes, FH_HOLE_START);
    enum image_status status =
        image_check((const void *)image->base, image->bytes, image->flat, low_memory, &layout);
    return status == IMAGE_OK || refuse_image(boot, partition, image_status_text(status));
}

bool image_is_first_use(const struct handoff *handoff, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++)
        if (handoff->images[i].base == handoff->images[index].base)
            return false;
    return true;
}

bool read_images(struct boot *boot)
{
    for (uint32_t i = 0; i < boot->handoff->config.partition_count; i++)
        if (!read_image(boot, i))
            return false;
    return true;
}
