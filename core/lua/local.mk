# lua: recipes
noinst_LTLIBRARIES += core/liblua.la
core_liblua_la_SOURCES = %D%/lua_host.h %D%/lua_state.h %D%/bind_cells.c \
	%D%/bind_classes.c %D%/bind_data.c %D%/bind_readers.c %D%/bind_train.c \
	%D%/host.c %D%/items.c
nodist_core_liblua_la_SOURCES = %D%/prelude.luah
core_liblua_la_CPPFLAGS = $(AM_CPPFLAGS) $(LUA_CFLAGS) -I$(builddir)/core/lua
core_liblua_la_LIBADD = $(LUA_LIBS)
BUILT_SOURCES += %D%/prelude.luah
CLEANFILES += %D%/prelude.luah
EXTRA_DIST += scripts/lua/lib/prelude.lua
%D%/prelude.luah: scripts/lua/lib/prelude.lua
	$(AM_V_GEN)$(MKDIR_P) $(@D) && od -v -An -tx1 $(srcdir)/scripts/lua/lib/prelude.lua | \
	sed 's/\([0-9a-f][0-9a-f]\)/0x\1,/g' > $@.tmp && mv -f $@.tmp $@
